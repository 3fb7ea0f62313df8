/**
 * Where a worker can die: every call of a port, told by name. The ports are wrapped from outside, so that
 * nothing in the worker knows of it.
 */
import type { Definition, LocalCall, RemoteCall } from '../../engine/definition.ts';
import type { Transition } from '../../engine/run.ts';
import type { Consumer, ConsumerOptions, Delivery, Queue } from '../../queue/queue.ts';
import type { Database } from '../../sqlite/database.ts';
import type { Change, Store } from '../../store/store.ts';
import type { Ports } from '../compose.ts';
import { answering, callName, failing } from './script.ts';
import type { Script, ScriptedCalls } from './script.ts';

/**
 * - `before`: the call does not take place
 * - `after`: it took effect, and nobody has heard of it
 * - `flushed`: for a settlement, which returns before it takes effect: it took effect as well
 */
export type When = 'before' | 'after' | 'flushed';

/** The n-th passing of a point: `store.commit`, `queue.ack`, `call.sendAudit`, `db.run`, or a named commit. */
export type Point = { readonly at: string; readonly n: number; readonly when: When };

/** How often each point was passed. */
export type Counts = Record<string, number>;

/** The commit of a transition, as a point. */
export const commitOf = ({ event, from, to }: Pick<Transition, 'event' | 'from' | 'to'>): string =>
  `commit: ${event}, ${from ?? 'nothing'} to ${to}`;

/** The same, in the middle of its transaction: all is written, nothing is committed. */
export const inside = (point: string): string => `inside ${point}`;

/** One attempt of a call. */
export const attemptOf = (call: string, attempt: number): string => `call.${call}, attempt ${attempt}`;

/** The call has begun, and its answer is not back. */
export const during = (point: string): string => `during ${point}`;

export type Pass = <T>(names: string | readonly string[], work: () => T, flush?: () => Promise<unknown>) => T;

/** Counts each passing, and stands still (`stop`) at the points that are wanted. */
export const checkpoint = (wanted: readonly Point[], stop: () => void): { counts: Counts; pass: Pass } => {
  const counts: Counts = {};
  const wantedAt = (name: string): Point[] => {
    const passed = (counts[name] = (counts[name] ?? 0) + 1);
    return wanted.filter(({ at, n }) => at === name && n === passed);
  };
  const stopped = <T>(value: T): T => {
    stop();
    return value;
  };
  const pass: Pass = (names, work, flush) => {
    const met = [names].flat().flatMap(wantedAt);
    const stops = (when: When) => met.some((point) => point.when === when);
    if (stops('before')) stop();
    const result = work();
    if (stops('flushed')) void flush?.().then(stop);
    if (!stops('after')) return result;
    if (result instanceof Promise) return result.then(stopped) as typeof result; // what failed took no effect
    stop();
    return result;
  };
  return { counts, pass };
};

export type Wrapping = {
  readonly pass: Pass;
  readonly script: Script;
  readonly calls: ScriptedCalls;
  /** True once the worker was asked to leave: statements are no points any more. */
  readonly isDraining: () => boolean;
};

/** The same ports, each of their calls a point. `db` is changed in place. */
export const wrapPorts = (ports: Ports, wrapping: Wrapping): Ports => {
  const { db, queue, amqp } = ports;
  const inFlight: string[] = [];
  wrapStatements(db, wrapping, inFlight);
  // The next transaction comes after the settlement's; a broker has read it by the time it answers another question.
  const flush = () => (amqp ? queue.depth() : db.write(() => {}));
  return {
    ...ports,
    store: wrapStore(ports.store, wrapping.pass, inFlight),
    queue: wrapQueue(queue, wrapping.pass, flush),
    definitions: ports.definitions.map((definition) => wrapDefinition(definition, wrapping)),
  };
};

/** Every method is a point; a commit also goes by the names of the transitions in it. */
export const wrapStore = (store: Store, pass: Pass, inFlight: string[]): Store =>
  new Proxy(store, {
    get(_, name) {
      const value: unknown = Reflect.get(store, name);
      if (typeof value !== 'function' || typeof name !== 'string') return value;
      if (name === 'watch') return value.bind(store) as unknown;
      return (...args: unknown[]) => {
        const commits = transitionsIn(name, args).map(commitOf);
        inFlight.push(...commits);
        return pass([`store.${name}`, ...commits], () => Reflect.apply(value, store, args) as unknown);
      };
    },
  });

const transitionsIn = (method: string, args: readonly unknown[]): readonly Transition[] => {
  if (method === 'amend') return (args[0] as Change).transitions;
  return method === 'commit' ? (args[1] as Change[]).flatMap(({ transitions }) => transitions) : [];
};

const runs = /\b(runs|census|transitions|todos|alerts|messages)\b/;

/** Every statement that belongs to a run or to a message, and every COMMIT after such, until the drain. */
export const wrapStatements = (
  db: Database,
  { pass, isDraining }: Pick<Wrapping, 'pass' | 'isDraining'>,
  inFlight: string[],
): void => {
  const run = db.run.bind(db);
  const exec = db.exec.bind(db);
  let isDirty = false;
  db.run = (sql, ...params) => {
    if (isDraining() || !runs.test(sql)) return run(sql, ...params);
    isDirty = true;
    if (/INSERT INTO alerts/.test(sql)) inFlight.push('call.sendAlert');
    return pass('db.run', () => run(sql, ...params));
  };
  db.exec = (sql) => {
    if (sql !== 'COMMIT' || !isDirty) return exec(sql);
    isDirty = false;
    return pass(['db.commit', ...inFlight.splice(0).map(inside)], () => exec(sql));
  };
};

const wrapQueue = (queue: Queue, pass: Pass, flush: () => Promise<unknown>): Queue => ({
  name: queue.name,
  holdsByLease: queue.holdsByLease,
  deadLetters: queue.deadLetters,
  publish: (submission) => queue.publish(submission),
  depth: () => queue.depth(),
  close: () => pass('queue.close', () => queue.close()),
  consume: (options: ConsumerOptions): Consumer =>
    pass('queue.consume', () => {
      const onDelivery = (delivery: Delivery) =>
        pass('queue.delivery', () => options.onDelivery(wrapDelivery(delivery, pass, flush)));
      const consumer = queue.consume({ ...options, onDelivery });
      return { stop: () => pass('queue.stop', () => consumer.stop()) };
    }),
});

const wrapDelivery = (delivery: Delivery, pass: Pass, flush: () => Promise<unknown>): Delivery => ({
  message: delivery.message,
  redelivered: delivery.redelivered,
  ack: () => pass('queue.ack', () => delivery.ack(), flush),
  later: () => pass('queue.later', () => delivery.later(), flush),
  deadLetter: (error) => pass('queue.deadLetter', () => delivery.deadLetter(error)),
});

const wrapDefinition = (definition: Definition, { pass, script, calls }: Wrapping): Definition => ({
  ...definition,
  local: mapped<LocalCall>(definition.local, (local) => failing(local, script)),
  remote: mapped<RemoteCall>(definition.remote, (remote) => {
    const answered = answering(remote, script, calls);
    return { ...remote, perform: (input, context) => passCall(pass, answered, input, context) };
  }),
});

const passCall = (
  pass: Pass,
  remote: RemoteCall,
  ...[input, context]: Parameters<RemoteCall['perform']>
): ReturnType<RemoteCall['perform']> => {
  const name = callName(context.key);
  const attempt = attemptOf(name, context.attempt);
  return pass([`call.${name}`, attempt], async () => {
    const answer = remote.perform(input, context);
    answer.catch(() => {}); // it may end while this process stands still
    await new Promise(setImmediate); // what it sends has gone out
    pass(during(attempt), () => {});
    return answer;
  });
};

const mapped = <T>(record: Readonly<Record<string, T>> = {}, change: (one: T) => T): Record<string, T> =>
  Object.fromEntries(Object.entries(record).map(([name, one]) => [name, change(one)]));
