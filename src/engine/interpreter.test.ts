import fc from 'fast-check';
import { assign, setup } from 'xstate';
import { getSimplePaths } from 'xstate/graph';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import {
  answerTo,
  dueOf,
  error,
  neverCalled,
  ok,
  testClock,
  todoMachine,
} from '../../test/harness/engine.ts';
import { call } from './definition.ts';
import type { LocalCall } from './definition.ts';
import { TransientError } from './errors.ts';
import { advance, fail, redrive, start, startFailed, wantedCalls } from './interpreter.ts';
import { toMachine } from './machine.ts';
import { isFinal } from './run.ts';
import type { Incident, Run } from './run.ts';

const machine = todoMachine();
const clock = testClock();
const begun = () => start(machine, 'r1', { title: 'Buy milk' }, clock).run;

describe('an answer', () => {
  test('counts once', () => {
    const run = begun();
    const answer = answerTo(machine, run, ok());
    const next = advance(machine, run, answer, clock)!.run;
    expect(next.state).toBe('sendingAudit');
    expect(advance(machine, next, answer, clock)).toBeUndefined();
  });

  test('to an older attempt is stale, although the call is wanted again', () => {
    const run = begun();
    const late = answerTo(machine, run, ok());
    const failed = advance(machine, run, answerTo(machine, run, error('away')), clock)!.run;
    const again = advance(machine, failed, dueOf(failed), clock)!.run;
    expect(again.state).toBe('sendingAlert');
    expect(advance(machine, again, late, clock)).toBeUndefined();
  });

  test('that comes after the run is final changes nothing', () => {
    const run = begun();
    const { run: cancelled } = advance(machine, run, { type: 'cancelled' }, clock)!;
    expect(advance(machine, cancelled, answerTo(machine, run, ok()), clock)).toBeUndefined();
  });

  test('leaves its duration, attempt, error and receipt in the history', () => {
    const run = begun();
    const answer = {
      ...answerTo(machine, run, { ...error('HTTP 503'), receipt: { status: 503 } }),
      duration: 12.5,
    } as Incident;
    expect(advance(machine, run, answer, clock)!.transitions).toEqual([
      {
        seq: run.seq + 1,
        at: clock.at,
        event: 'sendAlert error',
        from: 'sendingAlert',
        to: 'retryingAlert',
        duration: 12.5,
        attempt: 1,
        error: 'HTTP 503',
        receipt: { status: 503 },
      },
    ]);
  });
});

describe('a timer', () => {
  const waiting = () => {
    const run = begun();
    return advance(machine, run, answerTo(machine, run, error('away')), clock)!.run;
  };

  test('is kept in the record with the time at which it is due', () => {
    const run = waiting();
    expect(run.dueAt).toBe(clock.at + 100); // half of 200 ms: the dice show 0.5
    expect(Object.values(run.timers)).toEqual([
      { at: run.dueAt, event: expect.objectContaining({}) as object },
    ]);
  });

  test('fires once', () => {
    const run = waiting();
    const due = dueOf(run);
    const next = advance(machine, run, due, clock)!.run;
    expect(next.timers).toEqual({});
    expect(advance(machine, next, due, clock)).toBeUndefined();
  });

  test('of an earlier wait does not fire in a later one', () => {
    const first = waiting();
    const early = dueOf(first);
    const sending = advance(machine, first, early, clock)!.run;
    const later = testClock(clock.at + 5000);
    const second = advance(machine, sending, answerTo(machine, sending, error('away')), later)!.run;
    expect(advance(machine, second, early, later)).toBeUndefined();
  });
});

describe('a delay', () => {
  const resting = (ms: unknown) =>
    toMachine({
      machine: setup({
        actors: { work: call<void, void>() },
        delays: { rest: () => ms as number },
      }).createMachine({
        id: 'resting',
        version: '1',
        initial: 'working',
        states: {
          working: { invoke: { src: 'work', onDone: 'resting' } },
          resting: { after: { rest: 'done' } },
          done: { type: 'final' },
        },
      }),
      input: z.unknown(),
      remote: { work: neverCalled },
    });
  const rest = (ms: unknown) => {
    const { run } = start(resting(ms), 'r1', {}, clock);
    return advance(resting(ms), run, answerTo(resting(ms), run, ok()), clock)!.run;
  };

  test.each([
    [0.1, 1],
    [99.5, 100],
    [100, 100],
  ])('of %d ms lasts %d ms: a time is a whole number', (ms, whole) => {
    expect(rest(ms)).toMatchObject({ status: 'active', dueAt: clock.at + whole });
  });

  test('may be as long as a Date can tell', () => {
    const longest = 8.64e15 - clock.at;
    expect(rest(longest)).toMatchObject({ status: 'active', dueAt: 8.64e15 });
    expect(rest(longest + 1)).toMatchObject({ status: 'failed' });
  });

  test.each([undefined, null, '100'])('of %j fails its run, and is not taken for none at all', (ms) => {
    expect(rest(ms)).toMatchObject({ status: 'failed', reason: `the machine threw: a delay is ${ms}` });
  });

  test.each([NaN, Infinity, -Infinity])('of %d ms fails its run with the reason', (ms) => {
    expect(rest(ms)).toMatchObject({
      status: 'failed',
      failedIn: 'working',
      reason: `the machine threw: a delay is ${ms} ms`,
    });
  });
});

test('a timer goes with its state, when another event leaves it', () => {
  const impatient = toMachine({
    machine: setup({ actors: { work: call<void, void>() } }).createMachine({
      id: 'impatient',
      version: '1',
      initial: 'working',
      states: {
        working: { invoke: { src: 'work', onDone: 'resting' }, after: { 5000: 'failed' } },
        resting: { after: { 9000: 'done' } },
        done: { type: 'final' },
        failed: { type: 'final' },
      },
    }),
    input: z.unknown(),
    remote: { work: neverCalled },
  });
  const { run } = start(impatient, 'r1', {}, clock);
  expect(run.dueAt).toBeNull(); // it waits for an answer
  const next = advance(impatient, run, answerTo(impatient, run, ok()), clock)!.run;
  expect(Object.values(next.timers).map(({ at }) => at)).toEqual([clock.at + 9000]);
  expect(advance(impatient, next, dueOf(run), clock)).toBeUndefined();
});

describe('a machine that throws', () => {
  const fragile = toMachine({
    machine: setup({
      actors: { work: call<string, void>() },
      actions: {
        crash: assign(() => {
          throw new Error('a bug');
        }),
      },
    }).createMachine({
      id: 'fragile',
      version: '1',
      initial: 'working',
      states: {
        working: { invoke: { src: 'work', onDone: { target: 'done', actions: 'crash' } } },
        done: { type: 'final' },
      },
    }),
    input: z.unknown(),
    remote: { work: neverCalled },
  });

  test('fails its run with the reason, and keeps where it stood', () => {
    const { run } = start(fragile, 'r1', {}, clock);
    const step = advance(fragile, run, answerTo(fragile, run, ok()), clock)!;
    expect(step.run).toMatchObject({
      status: 'failed',
      failedIn: 'working',
      reason: 'the machine threw: a bug',
      seq: run.seq + 1,
    });
    expect(step.transitions).toHaveLength(1);
  });

  test('can be put back to its step', () => {
    const { run } = start(fragile, 'r1', {}, clock);
    const failed = advance(fragile, run, answerTo(fragile, run, ok()), clock)!.run;
    const again = redrive(fragile, failed, clock).run;
    expect(again).toMatchObject({ status: 'active', state: 'working', reason: null });
    expect(wantedCalls(fragile, again)).toMatchObject([{ key: 'r1/work', attempt: 2 }]);
  });
});

describe('local calls', () => {
  const chained = (first: LocalCall, second: LocalCall) =>
    toMachine({
      machine: setup({ actors: { one: call<number, void>(), two: call<number, void>() } }).createMachine({
        id: 'chained',
        version: '1',
        initial: 'first',
        states: {
          first: { invoke: { src: 'one', onDone: 'second', onError: 'failed' } },
          second: { invoke: { src: 'two', onDone: 'first', onError: 'failed' } },
          failed: { type: 'final' },
        },
      }),
      input: z.unknown(),
      local: { one: first, two: second },
    });
  const write = { sql: 'INSERT', params: {} };

  test('that throw are permanent errors, and their writes are not kept', () => {
    const boom: LocalCall = () => {
      throw new Error('bad sum');
    };
    const step = start(
      chained(() => ({ writes: [write] }), boom),
      'r1',
      {},
      clock,
    );
    expect(step.run).toMatchObject({ status: 'failed', reason: 'bad sum' });
    expect(step.writes).toEqual([write]);
    expect(step.transitions.map(({ to }) => to)).toEqual(['first', 'second', 'failed']);
  });

  test('that throw a transient error are permanent all the same: no time passes inside a transaction', () => {
    let seen: unknown;
    const machineOf = setup({
      actors: { one: call<void, void>() },
      actions: {
        note: assign(({ event }) => {
          seen = (event as unknown as { error: unknown }).error;
          return {};
        }),
      },
    }).createMachine({
      id: 'noting',
      version: '1',
      initial: 'first',
      states: {
        first: { invoke: { src: 'one', onDone: 'failed', onError: { target: 'failed', actions: 'note' } } },
        failed: { type: 'final' },
      },
    });
    const one: LocalCall = () => {
      throw new TransientError('later');
    };
    start(toMachine({ machine: machineOf, input: z.unknown(), local: { one } }), 'r1', {}, clock);
    expect(seen).toMatchObject({ message: 'later', permanent: true });
  });

  test('are given in one step what they are given after a crash, and what they do to it is lost', () => {
    type Context = { day: Date; list: number[] };
    const seen: unknown[] = [];
    const note: LocalCall = (input: Context) => {
      seen.push(structuredClone(input));
      input.list.push(1);
      return {};
    };
    const refuse: LocalCall = () => {
      throw new Error('no');
    };
    const dated = toMachine({
      machine: setup({
        types: { context: {} as Context },
        actors: { one: call<void, Context>(), two: call<void, Context>(), three: call<void, void>() },
        guards: { isText: ({ context }) => typeof context.day === 'string' },
      }).createMachine({
        id: 'dated',
        version: '1',
        context: { day: new Date(0), list: [] },
        initial: 'first',
        states: {
          first: {
            invoke: {
              src: 'one',
              input: ({ context }) => context,
              onDone: [{ guard: 'isText', target: 'second' }, { target: 'never' }],
            },
          },
          second: { invoke: { src: 'two', input: ({ context }) => context, onDone: 'third' } },
          third: { invoke: { src: 'three', onError: 'failed', onDone: 'failed' } },
          never: { type: 'final' },
          failed: { type: 'final' },
        },
      }),
      input: z.unknown(),
      local: { one: note, two: note, three: refuse },
    });
    const { run } = start(dated, 'r1', {}, clock);
    expect(run.state).toBe('failed');
    redrive(dated, run, clock, 'first');
    redrive(dated, run, clock, 'second');
    const given = { day: '1970-01-01T00:00:00.000Z', list: [] };
    expect(seen).toEqual([given, given, given, given, given]);
  });

  test('whose result JSON does not know fail the run where the step began', () => {
    const machineOf = setup({
      types: { context: {} as { sum: unknown } },
      actors: { ask: call<void, void>(), add: call<bigint, void>() },
    }).createMachine({
      id: 'adding',
      version: '1',
      context: { sum: 0 },
      initial: 'asking',
      states: {
        asking: { invoke: { src: 'ask', onDone: 'adding' } },
        adding: {
          invoke: {
            src: 'add',
            onDone: { target: 'done', actions: assign({ sum: ({ event }) => event.output }) },
          },
        },
        done: { type: 'final' },
        failed: { type: 'final' },
      },
    });
    const adding = toMachine({
      machine: machineOf,
      input: z.unknown(),
      remote: { ask: neverCalled },
      local: { add: () => ({ output: 1n }) },
    });
    const { run } = start(adding, 'r1', {}, clock);
    const step = advance(adding, run, answerTo(adding, run, ok()), clock)!;
    expect(step.run).toMatchObject({ status: 'failed', failedIn: 'asking', seq: 2, snapshot: run.snapshot });
    expect(step.run.reason).toMatch(/BigInt/);
  });

  test('that never come to an end fail the run instead of the worker', () => {
    const step = start(
      chained(
        () => ({}),
        () => ({}),
      ),
      'r1',
      {},
      clock,
    );
    expect(step.run.reason).toMatch(/the chart loops/);
    expect(step.transitions.map(({ seq }) => seq)).toEqual(step.transitions.map((_, index) => index + 1));
  });
});

describe('a redrive', () => {
  const failed = () => {
    const run = begun();
    const next = advance(machine, run, answerTo(machine, run, ok()), clock)!.run;
    return advance(machine, next, answerTo(machine, next, error('HTTP 422', { permanent: true })), clock)!
      .run;
  };

  test('goes back to the step that failed, under the same key', () => {
    const run = redrive(machine, failed(), clock).run;
    expect(run).toMatchObject({ status: 'active', state: 'sendingAudit', failedIn: null, reason: null });
    expect(wantedCalls(machine, run)).toMatchObject([{ key: 'r1/sendAudit', attempt: 2 }]);
  });

  test('to an earlier step runs through the local ones again', () => {
    const step = redrive(machine, failed(), clock, 'saving');
    expect(step.run.state).toBe('sendingAlert');
    expect(step.transitions.map(({ event }) => event)).toEqual(['retry', 'saveTodo done', 'makeAlert done']);
  });

  test('is refused for a run that did not fail, and for a state that does not exist', () => {
    expect(() => redrive(machine, begun(), clock)).toThrow(/only a failed run/);
    expect(() => redrive(machine, failed(), clock, 'nowhere')).toThrow(/no state "nowhere"/);
    expect(() => redrive(machine, failed(), clock, 'done')).toThrow(/no state "done"/);
  });

  test('of a run that failed before its first step was kept starts from there', () => {
    const { run, transitions } = startFailed(
      machine,
      'r1',
      { title: 'x' },
      'the store refused a write',
      clock,
    );
    expect(transitions.map(({ seq, to }) => [seq, to])).toEqual([
      [1, 'saving'],
      [2, 'failed'],
    ]);
    expect(redrive(machine, run, clock).run.state).toBe('sendingAlert');
  });
});

test('a failed run keeps no timer, and nothing is wanted of it', () => {
  const run = begun();
  const waiting = advance(machine, run, answerTo(machine, run, error('away')), clock)!.run;
  const step = fail(waiting, 'enough', clock);
  expect(step.run).toMatchObject({ status: 'failed', timers: {}, dueAt: null, failedIn: 'retryingAlert' });
  expect(wantedCalls(machine, step.run)).toEqual([]);
});

describe('a reboot between any two events changes nothing', () => {
  /** What the store keeps and gives back. */
  const reboot = (run: Run): Run => JSON.parse(JSON.stringify(run)) as Run;

  test('along every simple path of the chart, judged by XState itself', () => {
    const failing = (permanent: boolean) => ({ message: 'e', permanent, at: clock.at, random: 0.5 });
    const events = ['saving', 'makingAlert', 'sendingAlert', 'sendingAudit'].flatMap((state) => {
      const id = `0.create-todo.${state}`;
      const output =
        state === 'makingAlert'
          ? {
              type: 'todo.added',
              subject: 'r1',
              time: '2026-01-01T00:00:00.000Z',
              data: { id: 'r1', title: 'Buy milk' },
            }
          : undefined;
      return [
        { type: `xstate.done.actor.${id}`, output, actorId: id },
        { type: `xstate.error.actor.${id}`, error: failing(false), actorId: id },
        { type: `xstate.error.actor.${id}`, error: failing(true), actorId: id },
      ];
    });
    const timers = ['retryingAlert', 'retryingAudit'].map((state) => ({
      type: `xstate.after.backoff.create-todo.${state}`,
    }));
    const paths = getSimplePaths(machine.chart, {
      input: { id: 'r1', at: clock.at, input: { title: 'Buy milk' } },
      events: [...events, ...timers, { type: 'cancel' }],
      serializeState: (snapshot) => JSON.stringify([snapshot.value, snapshot.context]),
      stopWhen: (snapshot) =>
        ((snapshot.context as { failure: { count: number } | null }).failure?.count ?? 0) > 3,
    });
    expect(paths.length).toBeGreaterThan(50);
    let compared = 0;
    for (const path of paths) compared += follow(path.steps.map(({ event, state }) => ({ event, state })));
    expect(compared).toBeGreaterThan(300);
  });

  /** Feeds a path to the engine, with a reboot before every event. Returns how many states were compared. */
  const follow = (
    steps: { event: { type: string }; state: { value: unknown; context: unknown } }[],
  ): number => {
    let run: Run | undefined;
    let compared = 0;
    for (const { event, state } of steps) {
      if (event.type === 'xstate.init') continue;
      if (/saving|makingAlert/.test(event.type)) {
        if (event.type.includes('error')) return compared; // our local calls do not fail
        if (event.type.includes('saving')) continue;
        if ((event as { output?: unknown }).output === undefined) return compared; // derived by xstate/graph itself, without an output
        run = begun();
      } else {
        if (!run) return compared; // cancelled before there was anything
        if (isFinal(run)) {
          // XState would still take the root's `cancel`: final is our own rule.
          expect(advance(machine, run, incidentOf(run, event), clock)).toBeUndefined();
          return compared;
        }
        if (event.type.includes('error') && (event as { error?: unknown }).error === undefined)
          return compared; // derived, without an error
        run = advance(machine, reboot(run), incidentOf(run, event), clock)!.run;
      }
      expect(run.state).toBe(state.value);
      expect((JSON.parse(run.snapshot) as { context: unknown }).context).toEqual(
        JSON.parse(JSON.stringify(state.context)),
      );
      compared += 1;
    }
    return compared;
  };

  const incidentOf = (run: Run, event: { type: string; error?: { permanent: boolean } }): Incident => {
    if (event.type === 'cancel') return { type: 'cancelled' };
    if (event.type.startsWith('xstate.after'))
      return { type: 'due', timer: event.type, at: run.timers[event.type]?.at ?? 0 };
    const id = event.type.replace(/^xstate\.(done|error)\.actor\./, '');
    const result = event.error ? error('e', { permanent: event.error.permanent }) : ok();
    return { type: 'answered', call: id, attempt: run.attempts[id] ?? 0, duration: 1, result };
  };

  test('whatever happens in whatever order, and seq has no gap', () => {
    const happening = fc.record({
      kind: fc.constantFrom('ok', 'transient', 'permanent', 'due', 'cancel', 'stale'),
      dice: fc.double({ min: 0, max: 1, noNaN: true }),
      reboot: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(happening, { maxLength: 30 }), (happenings) => {
        const live = testClock();
        let run = start(machine, 'r1', { title: 'Buy milk' }, live).run;
        let rebooted = run;
        let seq = run.seq;
        for (const { kind, dice, reboot: doesReboot } of happenings) {
          live.at += 1000;
          live.dice = dice;
          const incident = toIncident(run, kind);
          if (!incident) continue;
          const step = advance(machine, run, incident, live);
          const other = advance(machine, doesReboot ? reboot(rebooted) : rebooted, incident, live);
          expect(other).toEqual(step);
          if (!step || !other) continue;
          for (const row of step.transitions) expect(row.seq).toBe(++seq);
          run = step.run;
          rebooted = other.run;
          if (isFinal(run)) expect(wantedCalls(machine, run)).toEqual([]);
          else expect(wantedCalls(machine, run).length + Object.keys(run.timers).length).toBe(1);
        }
      }),
      { numRuns: 500 },
    );
  });

  const toIncident = (run: Run, kind: string): Incident | undefined => {
    if (kind === 'cancel') return { type: 'cancelled' };
    if (kind === 'due') return Object.keys(run.timers).length > 0 ? dueOf(run) : undefined;
    const [wanted] = wantedCalls(machine, run);
    if (!wanted) return undefined;
    const answer = answerTo(
      machine,
      run,
      kind === 'ok' ? ok() : error('e', { permanent: kind === 'permanent' }),
    );
    return kind === 'stale' ? ({ ...answer, attempt: wanted.attempt - 1 } as Incident) : answer;
  };
});
