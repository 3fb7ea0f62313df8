/** What charts may do that the built-in one does not. */
import { assign, setup } from 'xstate';
import type { AnyStateMachine } from 'xstate';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { answerTo, error, neverCalled, ok, testClock } from '../../test/harness/engine.ts';
import { call } from './definition.ts';
import type { LocalCall } from './definition.ts';
import { advance, redrive, start, wantedCalls } from './interpreter.ts';
import { toMachine } from './machine.ts';
import type { Machine } from './machine.ts';
import type { CallResult, Run } from './run.ts';

const clock = testClock();
const actors = { one: call<number, unknown>(), two: call<number, unknown>() };
type Context = { got: number; given: unknown };

const machineOf = (states: object, local: Record<string, LocalCall> = {}): Machine =>
  toMachine({
    machine: setup({
      types: { context: {} as Context, input: {} as { input: unknown } },
      actors,
      actions: { count: assign({ got: ({ context }) => context.got + 1 }) },
      guards: { hasBoth: ({ context }) => context.got === 2 },
    }).createMachine({
      id: 'sample',
      version: '1',
      context: ({ input }: { input: { input: unknown } }) => ({ got: 0, given: input.input }),
      initial: 'working',
      states: { done: { type: 'final' }, failed: { type: 'final' }, ...states },
    } as never) as unknown as AnyStateMachine,
    input: z.unknown(),
    local,
    remote: Object.fromEntries(
      Object.keys(actors)
        .filter((src) => !(src in local))
        .map((src) => [src, neverCalled]),
    ),
  });

const begin = (machine: Machine, input: unknown = {}) => start(machine, 'r1', input, clock).run;
const answer = (machine: Machine, run: Run, result: CallResult) =>
  advance(machine, run, answerTo(machine, run, result), clock)!.run;
const wanted = (machine: Machine, run: Run) => wantedCalls(machine, run).map(({ src }) => src);

const both = {
  working: {
    invoke: [
      { src: 'one', onDone: { actions: 'count' }, onError: { actions: 'count' } },
      { src: 'two', onDone: { actions: 'count' } },
    ],
    always: { guard: 'hasBoth', target: 'done' },
  },
};

test.each([
  ['done', ok()],
  ['failed', error('away')],
])('a call that is %s is not wanted any more, though its state is not left', (_, result) => {
  const machine = machineOf(both);
  const run = begin(machine);
  const first = answerTo(machine, run, result);
  const next = advance(machine, run, first, clock)!.run;
  expect(wanted(machine, next)).toEqual(['two']);
  expect(advance(machine, next, first, clock)).toBeUndefined();
  expect(answer(machine, next, ok()).state).toBe('done');
});

test('what waits in the state of a call that was answered is a timer, and nothing else', () => {
  const machine = machineOf({ working: { invoke: { src: 'one', onDone: {} }, after: { 60000: 'done' } } });
  expect(answer(machine, begin(machine), ok()).dueAt).toBe(clock.at + 60_000);
});

test('local calls of one state are answered once each', () => {
  const made: string[] = [];
  const machine = machineOf(both, {
    one: () => ({ output: made.push('one') }),
    two: () => ({ output: made.push('two') }),
  });
  expect(begin(machine).state).toBe('done');
  expect(made).toEqual(['one', 'two']);
});

test('data in the shape of an actor is data', () => {
  const machine = machineOf({
    working: { invoke: { src: 'one', onDone: 'telling' } },
    telling: {
      invoke: { src: 'two', input: ({ context }: { context: Context }) => context.given, onDone: 'done' },
    },
  });
  const given = {
    list: [{ sessionId: 'a', send: true, ref: 'b' }],
    one: { xstate$$type: 1, id: 'c' },
  };
  const next = answer(machine, begin(machine, given), ok());
  expect(wantedCalls(machine, next)[0]!.input).toEqual(given);
});

test('an error that no state takes fails the run with its words', () => {
  const machine = machineOf({ working: { invoke: { src: 'one', onDone: 'done' } } });
  expect(answer(machine, begin(machine), error('HTTP 503'))).toMatchObject({
    status: 'failed',
    reason: 'the machine threw: no onError takes it: HTTP 503',
  });
});

test('a run that failed inside a state goes on from that state', () => {
  const machine = machineOf({
    working: {
      initial: 'asking',
      states: {
        asking: { invoke: { src: 'one', onDone: 'asked', onError: '#sample.failed' } },
        asked: { type: 'final' },
      },
      onDone: 'done',
    },
  });
  const failed = answer(machine, begin(machine), error('never'));
  expect(failed).toMatchObject({ status: 'failed', failedIn: 'working.asking' });
  expect(redrive(machine, failed, clock).run.state).toBe('working.asking');
});

test('a chart that goes round by itself fails its run, on its way and when it is retried', () => {
  const machine = machineOf({
    working: { invoke: { src: 'one', onDone: 'round' } },
    round: { always: [{ guard: 'hasBoth', target: 'done' }, { target: 'andRound' }] },
    andRound: { always: 'round' },
  });
  const failed = answer(machine, begin(machine), ok());
  expect(failed).toMatchObject({ status: 'failed', failedIn: 'working' });
  expect(failed.reason).toContain('the machine threw: Infinite loop detected');
  expect(() => redrive(machine, failed, clock, 'round')).toThrow('Infinite loop detected');
});
