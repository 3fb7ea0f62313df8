import { describe, expect, test, vi } from 'vitest';
import { assign, setup } from 'xstate';
import { z } from 'zod';
import { welcome } from '../../examples/welcome.ts';
import { dueOf, error, neverCalled, ok, testClock } from '../../test/harness/engine.ts';
import { createTodo } from '../machines/create-todo.ts';
import { call } from './definition.ts';
import type { Definition } from './definition.ts';
import { chooseDriver, driver, inertScope, pureFunctions, sample } from './driver.ts';
import type { Driver } from './driver.ts';
import * as interpreter from './interpreter.ts';
import { toMachine } from './machine.ts';
import type { Machine } from './machine.ts';
import { routesOf } from './routes.ts';
import type { Route } from './routes.ts';
import type { Incident, Run, Step } from './run.ts';

type Engine = Pick<typeof interpreter, 'start' | 'advance' | 'redrive'>;

/** An engine of its own that drives every chart in this way. */
const engineWith = async (only: Driver): Promise<Engine> => {
  vi.resetModules();
  vi.doMock('./driver.ts', () => ({ driver: only }));
  return import('./interpreter.ts');
};

/** Nested, parallel, with a guarded `always` and a state that is entered again. */
const delivery: Definition = {
  machine: setup({
    types: { context: {} as { laps: number } },
    actors: { pack: call<void, void>(), bill: call<void, number>() },
  }).createMachine({
    id: 'delivery',
    version: '1',
    context: { laps: 0 },
    on: { cancel: '.cancelled' },
    initial: 'preparing',
    states: {
      preparing: {
        type: 'parallel',
        states: {
          goods: {
            initial: 'packing',
            states: {
              packing: { invoke: { src: 'pack', onDone: 'packed', onError: 'pausing' } },
              pausing: {
                entry: assign({ laps: ({ context }) => context.laps + 1 }),
                after: { 50: 'packing' },
              },
              packed: { type: 'final' },
            },
          },
          bill: {
            initial: 'billing',
            states: {
              billing: {
                invoke: {
                  src: 'bill',
                  input: ({ context }) => context.laps,
                  onDone: 'billed',
                  onError: '#failed',
                },
              },
              billed: { type: 'final' },
            },
          },
        },
        onDone: 'judging',
      },
      judging: {
        always: [{ guard: ({ context }) => context.laps > 1, target: 'failed' }, { target: 'done' }],
      },
      done: { type: 'final' },
      failed: { id: 'failed', type: 'final' },
      cancelled: { type: 'final' },
    },
  }),
  input: z.unknown(),
  remote: { pack: neverCalled, bill: neverCalled },
};

describe('every path is the same, record by record, whichever way the chart is driven:', () => {
  test.each([
    ['create-todo', createTodo({ sendAlert: neverCalled, sendAudit: neverCalled }), { title: 'Buy milk' }],
    ['the example', welcome, { email: 'ada@example.com' }],
    ['nested and parallel states', delivery, null],
  ])('%s', async (_, definition, input) => {
    const watched = { ...pureFunctions, move: vi.fn<Driver['move']>(pureFunctions.move) };
    const [inert, pure] = [await engineWith(inertScope), await engineWith(watched)];
    const routes = routesOf(toMachine(definition), input);
    expect(routes.length).toBeGreaterThan(5);
    for (const route of routes)
      expect(walk(pure, definition, input, route)).toEqual(walk(inert, definition, input, route));
    expect(watched.move).toHaveBeenCalled();
  });

  /** All steps of a route, and the way back to its first step where it ends as failed. */
  const walk = (engine: Engine, definition: Definition, input: unknown, route: Route): Step[] => {
    const machine = toMachine(withFailing(definition, route.failing));
    const clock = testClock();
    const steps = [engine.start(machine, 'r1', input, clock)];
    const last = () => steps.at(-1)!.run;
    for (const happening of route.happenings)
      steps.push(engine.advance(machine, last(), toIncident(machine, last(), happening), clock)!);
    if (last().status === 'failed') steps.push(engine.redrive(machine, last(), clock, machine.steps[0]));
    return steps;
  };

  const withFailing = (definition: Definition, name: string | undefined): Definition =>
    name === undefined ? definition : { ...definition, local: { ...definition.local, [name]: throws } };

  const throws = (): never => {
    throw new Error('a local call that fails');
  };

  const toIncident = (machine: Machine, run: Run, happening: Route['happenings'][number]): Incident => {
    if (happening.type !== 'answer') return happening.type === 'due' ? dueOf(run) : { type: 'cancelled' };
    const { id, attempt } = interpreter
      .wantedCalls(machine, run)
      .find((wanted) => machine.calls.get(wanted.id)!.name === happening.call)!;
    const result =
      happening.answer === 'ok' ? ok() : error('e', { permanent: happening.answer === 'permanent' });
    return { type: 'answered', call: id, attempt, duration: 1, result };
  };
});

describe('the inert scope', () => {
  test('is used with the XState that is installed', () => {
    expect(driver).toBe(inertScope);
  });

  /** As an XState might be in which a scope has to belong to the machine. */
  const withOtherShape = (refuse: () => void) => {
    const machine = sample.provide({});
    const { transition } = machine;
    machine.transition = (snapshot, event, scope) => {
      if ((scope.self as { logic?: unknown }).logic === machine)
        return transition.call(machine, snapshot, event, scope);
      refuse();
      return snapshot;
    };
    return machine;
  };

  test('is given up where XState throws at it', () => {
    const machine = withOtherShape(() => {
      throw new TypeError('scope.self has no such logic');
    });
    expect(chooseDriver(machine)).toBe(pureFunctions);
  });

  test('is given up where XState makes something else of it', () => {
    expect(chooseDriver(withOtherShape(() => {}))).toBe(pureFunctions);
  });
});
