import { describe, expect, test } from 'vitest';
import { answerTo, dueOf, error, ok, testClock, todoMachine } from '../../test/harness/engine.ts';
import { contextOf } from '../engine/chart.ts';
import { advance, start, wantedCalls } from '../engine/interpreter.ts';
import type { Incident, Run } from '../engine/run.ts';
import { todoInput } from './create-todo.ts';

const day = 86_400_000;
const machine = todoMachine();
const clock = testClock();

type Happening = 'ok' | 'transient' | 'permanent' | 'due' | 'cancel';

const happen = (run: Run, happening: Happening): Incident => {
  switch (happening) {
    case 'ok':
      return answerTo(machine, run, ok());
    case 'transient':
      return answerTo(machine, run, error('away'));
    case 'permanent':
      return answerTo(machine, run, error('never', { permanent: true }));
    case 'due':
      return dueOf(run);
    case 'cancel':
      return { type: 'cancelled' };
  }
};

const after = (happenings: readonly Happening[]): Run => {
  let { run } = start(machine, 'todo-1', { title: 'Buy milk' }, clock);
  for (const happening of happenings) run = advance(machine, run, happen(run, happening), clock)!.run;
  return run;
};

// Written by hand from what the machine is meant to do, not from the machine.
const expected: [path: Happening[], state: string, status: string, call: string | null][] = [
  [[], 'sendingAlert', 'active', 'sendAlert'],
  [['ok'], 'sendingAudit', 'active', 'sendAudit'],
  [['ok', 'ok'], 'done', 'done', null],
  [['transient'], 'retryingAlert', 'active', null],
  [['transient', 'due'], 'sendingAlert', 'active', 'sendAlert'],
  [['transient', 'due', 'ok'], 'sendingAudit', 'active', 'sendAudit'],
  [['transient', 'due', 'transient', 'due', 'ok', 'ok'], 'done', 'done', null],
  [['permanent'], 'failed', 'failed', null],
  [['transient', 'due', 'permanent'], 'failed', 'failed', null],
  [['ok', 'transient'], 'retryingAudit', 'active', null],
  [['ok', 'transient', 'due'], 'sendingAudit', 'active', 'sendAudit'],
  [['ok', 'transient', 'due', 'ok'], 'done', 'done', null],
  [['ok', 'permanent'], 'failed', 'failed', null],
  [['cancel'], 'cancelled', 'cancelled', null],
  [['transient', 'cancel'], 'cancelled', 'cancelled', null],
  [['ok', 'cancel'], 'cancelled', 'cancelled', null],
  [['ok', 'transient', 'cancel'], 'cancelled', 'cancelled', null],
];

describe('create-todo@1', () => {
  test.each(expected)('after %j it is in %s', (path, state, status, call) => {
    const run = after(path);
    expect(run).toMatchObject({ state, status });
    expect(wantedCalls(machine, run).map(({ src }) => src)).toEqual(call === null ? [] : [call]);
    expect(Object.keys(run.timers)).toHaveLength(state.startsWith('retrying') ? 1 : 0);
  });

  test('the todo is written and its alert is made in the step that creates the run', () => {
    const step = start(machine, 'todo-1', { title: 'Buy milk', notes: 'oat' }, clock);
    expect(step.transitions.map(({ to }) => to)).toEqual(['saving', 'makingAlert', 'sendingAlert']);
    expect(step.writes).toHaveLength(1);
    expect(step.writes[0]!.params).toEqual(['todo-1', 'Buy milk', 'oat', '2026-01-01T00:00:00.000Z']);
    expect(contextOf(step.run.snapshot)).toMatchObject({
      alert: { type: 'todo.added', subject: 'todo-1', data: { id: 'todo-1', title: 'Buy milk' } },
    });
  });

  test('a call has the same key on every attempt, and a higher attempt', () => {
    const first = wantedCalls(machine, after(['ok']))[0]!;
    const second = wantedCalls(machine, after(['ok', 'transient', 'due']))[0]!;
    expect(first).toMatchObject({ key: 'todo-1/sendAudit', attempt: 1 });
    expect(second).toMatchObject({ key: 'todo-1/sendAudit', attempt: 2 });
  });

  test('transient errors are retried for a day, and no longer', () => {
    const own = testClock();
    let { run } = start(machine, 'todo-1', { title: 'Buy milk' }, own);
    const failing = () => (run = advance(machine, run, answerTo(machine, run, error('away')), own)!.run);
    const dueAfter = (ms: number) => {
      own.at += ms;
      run = advance(machine, run, dueOf(run), own)!.run;
    };
    failing();
    dueAfter(day - 1);
    failing();
    expect(run.state).toBe('retryingAlert');
    dueAfter(1);
    failing();
    expect(run).toMatchObject({ state: 'failed', reason: 'away', failedIn: 'sendingAlert' });
  });

  test('the time that a call waits for its receiver is not time in which it was retried', () => {
    const own = testClock();
    let { run } = start(machine, 'todo-1', { title: 'Buy milk' }, own);
    const failing = () => (run = advance(machine, run, answerTo(machine, run, error('away')), own)!.run);
    failing();
    for (const wait of [30 * day, day]) {
      run = advance(machine, run, dueOf(run), own)!.run;
      own.at += wait; // in the line; the attempt itself took a millisecond
      failing();
      expect(run.state).toBe('retryingAlert');
    }
    own.at += day;
    run = advance(machine, run, dueOf(run), own)!.run;
    failing();
    expect(run.state).toBe('failed');
  });

  test('a Retry-After is honoured', () => {
    const { run } = start(machine, 'todo-1', { title: 'Buy milk' }, clock);
    const busy = error('busy', { retryAfter: 30_000 });
    expect(advance(machine, run, answerTo(machine, run, busy), clock)!.run.dueAt).toBe(clock.at + 30_000);
  });

  test.each([
    [{}, 'title'],
    [{ title: '' }, 'title'],
    [{ title: ' \n' }, 'title'],
    [{ title: 'x'.repeat(501) }, 'title'],
    [{ title: 7 }, 'title'],
    [{ title: 'x', notes: 7 }, 'notes'],
  ])('the input %j is refused because of its %s', (input, field) => {
    const checked = todoInput.safeParse(input);
    expect(checked.success).toBe(false);
    expect(checked.error?.issues[0]?.path).toEqual([field]);
  });

  test('an unknown field is refused by name', () => {
    expect(todoInput.safeParse({ title: 'x', colour: 'red' }).error?.issues[0]).toMatchObject({
      keys: ['colour'],
    });
  });
});
