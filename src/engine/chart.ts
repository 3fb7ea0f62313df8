/**
 * Every call of XState at run time is in this file and `driver.ts`: plain data in, plain data out.
 */
import { createMachine } from 'xstate';
import type { AnyMachineSnapshot, AnyStateMachine } from 'xstate';
import { driver } from './driver.ts';
import type { Action } from './driver.ts';
import type { Status } from './run.ts';

/** What entering a state asks for. A cancelled timer and a stopped call show in `Moved` as well. */
type Request =
  | { type: 'call'; id: string }
  | { type: 'timer'; id: string; delay: number; event: { type: string } }
  | { type: 'cancelTimer'; id: string };

export type Moved = {
  snapshot: string;
  status: Status;
  state: string;
  requests: Request[];
  callsInFlight: number;
};

export type Child = { id: string; src: string; input: unknown };

/** Whatever holds a snapshot as text. */
type Recorded = { readonly snapshot: string };

type Event = { type: string; [field: string]: unknown };
type Persisted = { children: Record<string, { src: string; snapshot: { input?: unknown } }> };
type Params = { id: string; sendId: string; delay?: number; event: { type: string } };

/** The first snapshot of a machine. */
export const enter = (machine: AnyStateMachine, input: unknown): Moved =>
  moved(machine, driver.enter(machine, input));

/** The snapshot after an event. */
export const move = (machine: AnyStateMachine, record: Recorded, event: Event): Moved =>
  moved(machine, driver.move(machine, restore(machine, record), event));

/** Enters `state` with the context that the snapshot holds, whatever state it is in, final ones included. */
export const reenter = (machine: AnyStateMachine, { snapshot }: Recorded, state: string): Moved => {
  const { context } = JSON.parse(snapshot) as { context: object };
  const config = { ...machine.config, initial: state, context } as Parameters<typeof createMachine>[0];
  const elsewhere: AnyStateMachine = createMachine(config, machine.implementations as never);
  return moved(machine, driver.enter(elsewhere));
};

/** True if the machine has a transition for the event in the state that the snapshot is in. */
export const accepts = (machine: AnyStateMachine, record: Recorded, event: Event): boolean =>
  restore(machine, record).can(event);

/** The calls that a record has in flight. */
export const children = (record: Recorded): Child[] =>
  Object.entries(parse(record).children).map(([id, child]) => ({
    id,
    src: child.src,
    input: child.snapshot.input,
  }));

/** A record is looked at several times before it moves: parsing its text was a tenth of the engine's time. */
const parsed = new Map<Recorded, Persisted>();

/** As many as a worker has on the move at once: of a hundred thousand that wait, the text is enough. */
const mostParsed = 1000;

const parse = (record: Recorded): Persisted => {
  const known = parsed.get(record);
  if (known) return known;
  const fresh = JSON.parse(record.snapshot) as Persisted;
  parsed.set(record, fresh);
  if (parsed.size > mostParsed) parsed.delete(parsed.keys().next().value!);
  return fresh;
};

/** XState writes into what it restores, and a machine might: each time it gets an object of its own. */
const takeParsed = (record: Recorded): Persisted => {
  const known = parse(record);
  parsed.delete(record);
  return known;
};

export const contextOf = (snapshot: string): unknown =>
  (JSON.parse(snapshot) as { context: unknown }).context;

const restore = (machine: AnyStateMachine, record: Recorded): AnyMachineSnapshot => {
  const snapshot = driver.restore(machine, takeParsed(record));
  if (snapshot.status === 'error') throw asError(snapshot.error); // a state that is there no more
  return snapshot;
};

const moved = (
  machine: AnyStateMachine,
  [snapshot, actions]: readonly [AnyMachineSnapshot, readonly Action[]],
): Moved => {
  if (snapshot.status === 'error') throw asError(snapshot.error);
  const state = stateName(snapshot.value);
  const persisted = machine.getPersistedSnapshot(snapshot) as unknown as Persisted;
  return {
    snapshot: JSON.stringify(persisted),
    status: snapshot.status === 'active' ? 'active' : finalStatus(state),
    state,
    requests: actions.flatMap(request),
    callsInFlight: Object.keys(persisted.children).length,
  };
};

/** A final state named `failed` or `cancelled` says so; every other one is a `done`. */
const finalStatus = (state: string): Status => (state === 'failed' || state === 'cancelled' ? state : 'done');

const request = (action: Action): Request[] => {
  const { id, sendId, delay, event } = (action.params ?? {}) as Params;
  switch (action.type) {
    case 'xstate.spawnChild':
      return [{ type: 'call', id }];
    case 'xstate.raise': // without a delay it was consumed within the transition
      return delay === undefined ? [] : [{ type: 'timer', id, delay, event }];
    case 'xstate.cancel':
      return [{ type: 'cancelTimer', id: sendId }];
    case 'xstate.stopChild': // gone from the snapshot's children
      return [];
    default:
      throw new Error(`the action "${action.type}" would not survive a crash: make it an invoke`);
  }
};

/** `sendingAudit`; `paying.charging` where states are nested; `a|b` where they are parallel. */
const stateName = (value: unknown): string =>
  typeof value === 'string'
    ? value
    : Object.entries(value as object)
        .map(([key, inner]) => (isEmpty(inner) ? key : `${key}.${stateName(inner)}`))
        .join('|');

const isEmpty = (value: unknown): boolean =>
  typeof value === 'object' && Object.keys(value as object).length === 0;

const asError = (error: unknown): Error => (error instanceof Error ? error : new Error(String(error)));
