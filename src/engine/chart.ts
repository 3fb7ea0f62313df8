/**
 * Every call of XState at run time is in this file and `driver.ts`: plain data in, plain data out.
 */
import { createMachine } from 'xstate';
import type { AnyActorRef, AnyMachineSnapshot, AnyStateMachine } from 'xstate';
import { driver } from './driver.ts';
import type { Action } from './driver.ts';
import type { CallError } from './retry.ts';
import type { Status } from './run.ts';

/** What entering a state asks for. A cancelled timer and a stopped call show in `Moved` as well. */
type Request =
  | { type: 'call'; id: string }
  | { type: 'timer'; id: string; delay: number; event: { type: string } }
  | { type: 'cancelTimer'; id: string };

/** XState's own snapshot: of use while a step goes on, and never kept. */
export type Position = AnyMachineSnapshot;

export type Moved = {
  position: Position;
  status: Status;
  state: string;
  requests: Request[];
  callsInFlight: number;
};

export type Child = { id: string; src: string; input: unknown };

/** Whatever holds a snapshot as text. */
type Recorded = { readonly snapshot: string };

type Event = { type: string; [field: string]: unknown };
type Persisted = {
  context: object;
  children: Record<string, { src: string; snapshot: { input?: unknown } }>;
};
type Params = { id: string; sendId: string; delay?: unknown; event: { type: string } };

/** Where a machine begins. */
export const enter = (machine: AnyStateMachine, input: unknown): Moved => moved(driver.enter(machine, input));

/** Where an event leads. */
export const move = (machine: AnyStateMachine, position: Position, event: Event): Moved =>
  moved(driver.move(machine, position, event));

/** Enters `state` with the context that the snapshot holds, whatever state it is in, final ones included. */
export const reenter = (machine: AnyStateMachine, { snapshot }: Recorded, state: string): Moved => {
  const { context } = JSON.parse(snapshot) as { context: object };
  const config = { ...machine.config, options: machine.options, initial: state, context } as Parameters<
    typeof createMachine
  >[0];
  const elsewhere: AnyStateMachine = createMachine(config, machine.implementations as never);
  const next = moved(driver.enter(elsewhere));
  // From here on it is the machine's own again, whose root begins elsewhere.
  return { ...next, position: restore(machine, { snapshot: textOf(next.position) }) };
};

/** The position as it would be if a crash had come between: what JSON does not know is lost. */
export const asRestored = (position: Position): Position => {
  position.context = viaJson(position.context);
  return position;
};

/** XState keeps a child until its state is left: a call that was answered would be made again after a crash. */
export const withoutChild = (position: Position, id: string): Position => {
  position.children = { ...position.children };
  delete position.children[id];
  return position;
};

/** What a record keeps of a position. XState would take data of a certain shape for one of its actors, and drop it. */
export const textOf = (position: Position): string => {
  const persisted = position.machine.getPersistedSnapshot({ ...position, context: {} } as Position);
  return JSON.stringify({ ...persisted, context: position.context as object });
};

/** The first call in flight that `is` says yes to, as a record would have it. */
export const findChild = (position: Position, is: (id: string) => boolean): Child | undefined => {
  const child = Object.values(position.children as Record<string, AnyActorRef>).find(({ id }) => is(id));
  if (!child) return undefined;
  const { input } = child.getPersistedSnapshot() as { input?: unknown };
  return { id: child.id, src: child.src as string, input: viaJson(input) };
};

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

/** The position that a record holds. */
export const restore = (machine: AnyStateMachine, record: Recorded): Position => {
  const persisted = takeParsed(record);
  const snapshot = driver.restore(machine, { ...persisted, context: {} });
  if (snapshot.status === 'error') throw asError(snapshot.error); // a state that is there no more
  snapshot.context = persisted.context;
  return snapshot;
};

const moved = ([position, actions]: readonly [Position, readonly Action[]]): Moved => {
  if (position.status === 'error') throw asError(position.error);
  const state = stateName(position.value);
  return {
    position,
    status: position.status === 'active' ? 'active' : finalStatus(state),
    state,
    requests: actions.flatMap(request),
    callsInFlight: Object.keys(position.children).length,
  };
};

const viaJson = <T>(value: T): T => {
  const text = JSON.stringify(value) as string | undefined;
  return text === undefined ? (undefined as T) : (JSON.parse(text) as T);
};

/** A final state named `failed` or `cancelled` says so; every other one is a `done`. */
const finalStatus = (state: string): Status => (state === 'failed' || state === 'cancelled' ? state : 'done');

const request = (action: Action): Request[] => {
  const { id, sendId, delay, event } = (action.params ?? {}) as Params;
  switch (action.type) {
    case 'xstate.spawnChild':
      return [{ type: 'call', id }];
    case 'xstate.raise': // without a delay it was consumed within the transition
      if (typeof delay === 'number') return [{ type: 'timer', id, delay, event }];
      if (delay === undefined && !id?.startsWith('xstate.after.')) return [];
      throw new Error(`a delay is ${String(delay)}`); // XState would not wait at all
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

/** XState ends a machine for the error of a call, which is data here, where no state takes it. */
const asError = (error: unknown): Error =>
  error instanceof Error
    ? error
    : new Error(`no onError takes it: ${(error as CallError | undefined)?.message}`);
