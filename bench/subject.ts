/** What is measured: a worker process, the queue that feeds it, and the proof that it did all of its work. */
import { randomUUIDv7 } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import Sqlite from 'better-sqlite3';
import { quiet } from '../src/cli/log.ts';
import type { TodoInput } from '../src/machines/create-todo.ts';
import { openAmqp } from '../src/queue/amqp/open.ts';
import type { Amqp } from '../src/queue/amqp/open.ts';
import { EmbeddedQueue } from '../src/queue/embedded/embedded-queue.ts';
import type { Queue } from '../src/queue/queue.ts';
import { openDatabase } from '../src/sqlite/database.ts';
import type { Database } from '../src/sqlite/database.ts';
import { copyDurably } from './made.ts';
import { startChild } from './child.ts';
import type { Child, ChildOptions } from './child.ts';
import { commitsOf } from './counters.ts';
import type { Counters } from './counters.ts';
import { syncsIn } from './slow-sync.ts';
import type { SlowSync } from './slow-sync.ts';

/** By name: how they are shown. */
export const subjects = {
  floor: 'the floor',
  naive: 'the floor and an INSERT',
  holdfast: 'Holdfast on RabbitMQ',
  embedded: 'Holdfast embedded',
} as const;
export type SubjectName = keyof typeof subjects;
export const subjectNames: readonly SubjectName[] = ['floor', 'naive', 'holdfast', 'embedded'];

export type Surroundings = {
  readonly amqpUrl: string;
  readonly auditUrl: string;
  /** On a disk. */
  readonly folder: string;
  readonly inFlight: number;
  /** Where the worker under test writes a CPU profile. */
  readonly cpuProf?: string | undefined;
  /** Counts the worker's fsyncs, and makes each take `syncDelay` ms longer. */
  readonly slowSync?: SlowSync | undefined;
  readonly syncDelay?: number;
  /** A store that is copied, with runs in it. */
  readonly template?: string | undefined;
  /** A store that is used as it is, and stays. */
  readonly store?: string | undefined;
  /** The worker notes when each todo is done. */
  readonly noteDone?: boolean;
  /** More flags of Node for the worker. */
  readonly execArgv?: readonly string[];
};

type Also = {
  readonly repeats?: number;
  readonly waiting?: number;
  /** Runs that were final before. */
  readonly finished?: number;
  /** How many alerts are expected, where it is not one for each. */
  readonly alerts?: number;
};

/** One worker with a queue and a store that nobody used before. */
export type Subject = {
  /** Where the worker finds its store and its queue. */
  readonly place: { readonly store: string; readonly queue: string; readonly prefix: string };
  /** Resolves when the todo is safe in the queue. */
  readonly submit: (id: string) => Promise<void>;
  readonly start: () => Promise<Child>;
  /** What is counted of its store so far: commits, and fsyncs where they are counted. */
  readonly counters: () => Counters;
  /**
   * After the worker has left. Resolves to how many messages were handed back for a lap because the worker could
   * not finish them in time: the runs are final, the acks come with the lap.
   * @throws where a todo is not done: its message settled, its alert sent, and its run final where there is a store;
   * where more than `repeats` alerts came again; and where more or fewer than `waiting` runs are unfinished
   */
  readonly prove: (count: number, also?: Also) => Promise<number>;
  readonly close: () => Promise<void>;
};

export const machineRef = 'create-todo@1';

export const openSubject = (name: SubjectName, surroundings: Surroundings): Subject => {
  const folder = mkdtempSync(path.join(surroundings.folder, `${name}-`));
  const store = surroundings.store ?? path.join(folder, 'bench.db');
  const prefix = `bench.${randomUUIDv7()}`;
  const { amqpUrl, auditUrl, inFlight, cpuProf, slowSync, syncDelay = 0, template } = surroundings;
  if (template !== undefined) copyDurably(template, store);
  const syncCount = path.join(folder, 'syncs');
  const options: ChildOptions = {
    execArgv: [
      ...(surroundings.execArgv ?? []),
      ...(cpuProf === undefined ? [] : profileFlags(name, cpuProf)),
    ],
    env: {
      ...slowSync?.environment(syncCount, syncDelay),
      ...(surroundings.noteDone && { NOTE_DONE: 'true' }),
    },
  };
  const queue = name === 'embedded' ? 'embedded' : amqpUrl;
  const worker = [
    '--store',
    store,
    '--queue',
    queue,
    '--prefix',
    prefix,
    '--audit-url',
    auditUrl,
    '--concurrency',
    `${inFlight}`,
    '--log-level',
    'warn',
  ];
  const parts = name === 'embedded' ? openEmbedded(store) : openBroker(amqpUrl, prefix);
  return {
    place: { store, queue, prefix },
    submit: (id) =>
      parts.queue.publish({ id, machine: machineRef, body: Buffer.from(JSON.stringify(inputOf(id))) }),
    start: () => {
      const bare = [amqpUrl, prefix, auditUrl, `${inFlight}`];
      if (name === 'floor') return startChild('floor.ts', bare, options);
      if (name === 'naive') return startChild('naive.ts', [store, ...bare], options);
      return startChild('holdfast.ts', worker, options);
    },
    counters: () => ({ ...commitsOf(store), ...(slowSync && { fsyncs: syncsIn(syncCount) }) }),
    prove: async (count, { repeats = 0, waiting = 0, finished = 0, alerts: wanted = count } = {}) => {
      const lapping = await proveSettled(parts.queue);
      const alerts = await parts.alerts();
      expect('alerts', alerts, Math.min(Math.max(alerts, wanted), wanted + repeats));
      if (name === 'naive') proveSaved(store, count);
      else if (name !== 'floor') proveFinal(store, finished + count, waiting);
      return lapping;
    },
    close: async () => {
      await parts.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
};

const profileFlags = (name: SubjectName, folder: string): string[] => [
  '--cpu-prof',
  `--cpu-prof-dir=${folder}`,
  `--cpu-prof-name=${name}-${process.hrtime.bigint()}.cpuprofile`,
];

/** Fills the queue with new todos; returns their ids. */
export const fill = async (subject: Pick<Subject, 'submit'>, count: number): Promise<string[]> => {
  const ids = newIds(count);
  await submitAll(subject, ids);
  return ids;
};

export const newIds = (count: number): string[] => Array.from({ length: count }, () => randomUUIDv7());

/** In this order. */
export const submitAll = async (
  { submit }: Pick<Subject, 'submit'>,
  ids: readonly string[],
): Promise<void> => {
  const atOnce = 1000;
  for (let from = 0; from < ids.length; from += atOnce)
    await Promise.all(ids.slice(from, from + atOnce).map(submit));
};

type Parts = { queue: Queue; alerts: () => Promise<number>; close: () => Promise<void> };

const openBroker = (url: string, prefix: string): Parts => {
  const amqp = openAmqp({ url, prefix, log: quiet });
  return {
    queue: amqp.queue,
    alerts: () => countAlerts(amqp),
    close: async () => {
      await amqp.remove();
      await amqp.queue.close();
    },
  };
};

const countAlerts = ({ publisher, topology }: Amqp): Promise<number> =>
  publisher.perform(async (channel) => (await channel.checkQueue(topology.alerts)).messageCount, {
    patience: 10_000,
  });

const openEmbedded = (store: string): Parts => {
  const db = openDatabase(store);
  const queue = new EmbeddedQueue(db);
  return {
    queue,
    alerts: async () => count(db, 'alerts'),
    close: async () => {
      await queue.close();
      db.close();
    },
  };
};

const count = (db: Database, table: string): number =>
  db.get<{ rows: number }>(`SELECT count(*) AS rows FROM ${table}`)!.rows;

/** What was not acked is in the queue again once its worker has left; a broker may take a moment for that. */
const proveSettled = async (queue: Queue): Promise<number> => {
  for (let tries = 0; ; tries++) {
    const { ready, waiting, dead } = await queue.depth();
    if (ready + dead === 0) return waiting;
    if (tries === 20)
      throw new Error(
        `every audit entry came, but ${ready} messages are still in the queue, and ${dead} are dead`,
      );
    await delay(100);
  }
};

const proveSaved = (store: string, wanted: number): void => {
  const db = new Sqlite(store, { readonly: true });
  expect('todos', db.prepare('SELECT count(*) FROM todos').pluck().get() as number, wanted);
  db.close();
};

const proveFinal = (store: string, wanted: number, waiting: number): void => {
  const db = openDatabase(store);
  expect('finished runs', count(db, `runs WHERE status = 'done'`), wanted);
  expect('unfinished runs', count(db, `runs WHERE status = 'active'`), waiting);
  expect('todos', count(db, 'todos'), wanted + waiting);
  // start, save done, make done, alert done, and audit done (or error)
  expect('history rows', count(db, 'transitions'), (wanted + waiting) * 5);
  db.close();
};

const expect = (what: string, found: number, wanted: number): void => {
  if (found !== wanted) throw new Error(`${wanted} ${what} were expected, there are ${found}`);
};

/** What is submitted under an id. */
export const inputOf = (id: string): TodoInput => ({
  title: `Buy milk ${id}`,
  notes: 'two litres, the fresh one',
});
