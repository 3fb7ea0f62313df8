/**
 * Two ways to drive a chart of which nothing is ever started. XState's own pure functions build a scope from the
 * machine on each call, which enters it once more, and without an input: 240 us a todo went there. One inert scope
 * for all does without, but it is a shape inside XState; where it does not fit, the pure functions are used.
 */
import { assign, createActor, fromTransition, initialTransition, raise, setup, transition } from 'xstate';
import type { AnyMachineSnapshot, AnyStateMachine } from 'xstate';
import { call } from './definition.ts';

/** What a step asks for, as XState says it. */
export type Action = { type: string; params?: unknown };

type Event = { type: string; [field: string]: unknown };
type Driven = [AnyMachineSnapshot, readonly Action[]];

export type Driver = {
  enter(machine: AnyStateMachine, input?: unknown): Driven;
  move(machine: AnyStateMachine, snapshot: AnyMachineSnapshot, event: Event): Driven;
  restore(machine: AnyStateMachine, persisted: unknown): AnyMachineSnapshot;
};

export const pureFunctions: Driver = {
  enter: (machine, input) => initialTransition(machine, input) as Driven,
  move: (machine, snapshot, event) => transition(machine, snapshot, event) as Driven,
  restore: (machine, persisted) =>
    createActor(machine, { snapshot: persisted as never }).getSnapshot() as AnyMachineSnapshot,
};

export const inertScope: Driver = {
  enter: (machine, input) => withScope((scope) => machine.getInitialSnapshot(scope, input)),
  move: (machine, snapshot, event) => withScope((scope) => machine.transition(snapshot, event, scope)),
  restore: (machine, persisted) => machine.restoreSnapshot(persisted as never, scopeFor(noop)),
};

type Scope = Parameters<AnyStateMachine['transition']>[2];

const withScope = (act: (scope: Scope) => AnyMachineSnapshot): Driven => {
  const actions: Action[] = [];
  return [act(scopeFor((action) => actions.push(action))), actions];
};

/** Nobody ever hears of `self`, which is only the parent that a child must have. */
const scopeFor = (take: (action: Action) => void): Scope => ({
  self: nobody as unknown as Scope['self'],
  system: nobody.system,
  id: '',
  sessionId: '',
  logger: noop,
  defer: noop,
  stopChild: noop,
  emit: noop,
  actionExecutor: take,
});

const noop = () => {};

/** Never started, and it keeps nothing of its children: one is enough for all. */
const nobody = createActor(fromTransition((state: null) => state, null));

/** A bit of all that charts are made of. */
export const sample = setup({
  types: { input: {} as string, context: {} as { title: string; answer: number } },
  actors: { work: call<number, string>() },
}).createMachine({
  context: ({ input }) => ({ title: input, answer: 0 }),
  initial: 'calling',
  states: {
    calling: {
      initial: 'first',
      states: {
        first: {
          invoke: {
            src: 'work',
            id: 'call',
            input: ({ context }) => context.title,
            onDone: { target: 'second', actions: assign(({ event }) => ({ answer: event.output })) },
          },
        },
        second: { entry: raise({ type: 'next' }), after: { 1000: 'first' }, on: { next: '#waiting' } },
      },
    },
    waiting: { id: 'waiting', after: { 1000: 'ended' } },
    ended: { type: 'final' },
  },
});

/** The inert scope, unless it throws for `machine`, or brings anything else than the pure functions bring. */
export const chooseDriver = (machine: AnyStateMachine = sample): Driver => {
  try {
    return story(inertScope, machine) === story(pureFunctions, machine) ? inertScope : pureFunctions;
  } catch {
    return pureFunctions;
  }
};

/** A way through the sample, with a restart after each step; as text, because that is what is kept. */
const story = (driver: Driver, machine: AnyStateMachine): string => {
  const steps: string[] = [];
  const keep = ([snapshot, actions]: Driven): unknown => {
    const step = JSON.stringify([
      machine.getPersistedSnapshot(snapshot),
      actions.map(({ type, params }) => ({ type, params })),
    ]);
    steps.push(step);
    return (JSON.parse(step) as [unknown])[0];
  };
  let kept = keep(driver.enter(machine, 'Buy milk'));
  for (const type of ['xstate.done.actor.call', 'xstate.after.1000.waiting']) {
    kept = keep(driver.move(machine, driver.restore(machine, kept), { type, actorId: 'call', output: 1 }));
  }
  return steps.join('\n');
};

export const driver: Driver = chooseDriver();
