/** The composition root: the one place that knows every adapter. Tests run it whole. */
import { randomUUIDv7 } from 'node:crypto';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { sendAlertByAmqp } from '../effects/alert-amqp.ts';
import { sendAlertToTable } from '../effects/alert-embedded.ts';
import { auditOverHttp } from '../effects/audit.ts';
import type { Definition, RemoteCall } from '../engine/definition.ts';
import { messageOf, PermanentError } from '../engine/errors.ts';
import { createTodo } from '../machines/create-todo.ts';
import { createRegistry } from '../machines/registry.ts';
import type { Registry } from '../machines/registry.ts';
import { openAmqp } from '../queue/amqp/open.ts';
import type { Amqp } from '../queue/amqp/open.ts';
import { EmbeddedQueue } from '../queue/embedded/embedded-queue.ts';
import type { Queue } from '../queue/queue.ts';
import { openDatabase, openReadOnly } from '../sqlite/database.ts';
import type { Database } from '../sqlite/database.ts';
import { SqliteStore } from '../store/sqlite/sqlite-store.ts';
import type { Store } from '../store/store.ts';
import type { Log } from '../worker/log.ts';
import { Worker } from '../worker/worker.ts';
import { CliError, exitCodes, usage } from './exit.ts';
import type { Settings } from './settings.ts';
import { auditCaOf, tlsOf } from './tls.ts';

export const isEmbedded = ({ queue }: Pick<Settings, 'queue'>): boolean => queue === 'embedded';

/** The store for reading, or nothing where none was made yet. */
export const openArchive = ({
  store,
}: Pick<Settings, 'store'>): { db: Database; archive: Store } | undefined => {
  const db = openReadOnly(store);
  return db && { db, archive: new SqliteStore(db) };
};

/** The store for writing; made where there is none. */
export const openStore = ({
  store,
  lease,
}: Pick<Settings, 'store' | 'lease'>): { db: Database; store: Store } => {
  const db = openDatabase(store);
  return { db, store: new SqliteStore(db, Date.now, lease) };
};

export type OpenQueue = { readonly queue: Queue; readonly amqp?: Amqp; readonly close: () => Promise<void> };

/** `db` where it is open already: one process has one connection to a file. */
export const openQueue = (settings: Settings, log: Log, db?: Database): OpenQueue => {
  if (!isEmbedded(settings)) {
    const amqp = openRabbit(settings, log);
    return { queue: amqp.queue, amqp, close: () => amqp.queue.close() };
  }
  const own = db ?? openDatabase(settings.store);
  const queue = new EmbeddedQueue(own, { lapMs: settings.lap, leaseMs: settings.lease, log });
  const close = async () => {
    await queue.close();
    if (!db) own.close();
  };
  return { queue, close };
};

const openRabbit = (settings: Settings, log: Log): Amqp => {
  const { queue: url, prefix, lap } = settings;
  return openAmqp({ url, prefix, lap, log, tls: tlsOf(settings) });
};

const elsewhere: RemoteCall = {
  async perform() {
    throw new PermanentError('this process performs no calls');
  },
};

/** The machines by name and shape, for commands that perform no calls. */
export const openCatalogue = async (settings: Settings): Promise<Registry> =>
  createRegistry([
    createTodo({ sendAlert: elsewhere, sendAudit: elsewhere }),
    ...(await importMachines(settings)),
  ]);

export type OpenWorker = {
  readonly worker: Worker;
  readonly db: Database;
  readonly store: Store;
  readonly queue: Queue;
  close(): Promise<void>;
};

export type WorkerSettings = Settings & { readonly auditUrl: URL };

/** All that a worker stands on, open but not yet put together: what proves it steps in between. */
export type Ports = {
  readonly db: Database;
  readonly store: Store;
  readonly queue: Queue;
  readonly amqp?: Amqp | undefined;
  readonly definitions: readonly Definition[];
  /** What the worker does not close itself. */
  close(): Promise<void>;
};

export const openPorts = async (settings: WorkerSettings, log: Log): Promise<Ports> => {
  const { concurrency, auditUrl, auditVerify, retryBase, retryCap, retryFor } = settings;
  const own = await importMachines(settings);
  const { db, store } = openStore(settings);
  const { queue, amqp } = openQueue(settings, log, db);
  // About half the deliveries in hand wait for the audit at one time; more connections gain nothing.
  const connections = Math.max(8, Math.ceil(concurrency / 2));
  const audit = auditOverHttp(auditUrl, { connections, ca: auditCaOf(settings), verify: auditVerify });
  const sendAlert = amqp ? sendAlertByAmqp(amqp.publisher, amqp.topology) : sendAlertToTable(db);
  const retry = { base: retryBase, cap: retryCap, giveUpAfter: retryFor };
  const definitions = [createTodo({ sendAlert, sendAudit: audit }, retry), ...own];
  const close = async () => {
    await audit.close();
    db.close();
  };
  return { db, store, queue, amqp, definitions, close };
};

/** Puts a worker together. It has not started. */
export const assemble = async (ports: Ports, settings: Settings, log: Log): Promise<OpenWorker> => {
  const { db, store, queue, definitions } = ports;
  const { concurrency, callTimeout, keep, retryBase, retryCap } = settings;
  const probing = { base: retryBase, cap: retryCap };
  const registry = createRegistry(definitions);
  await prepare(store, registry);
  const worker = new Worker({
    id: randomUUIDv7(),
    store,
    queue,
    registry,
    log,
    concurrency,
    callTimeout,
    probing,
    ...(keep !== undefined && { keep }),
  });
  const close = async () => {
    await worker.drain();
    await ports.close();
  };
  return { worker, db, store, queue, close };
};

/** A worker with all that it needs. It has not started. */
export const openWorker = async (settings: WorkerSettings, log: Log): Promise<OpenWorker> =>
  assemble(await openPorts(settings, log), settings, log);

const prepare = async (store: Store, { machines }: Registry): Promise<void> => {
  const changed = await store.prepare(machines);
  if (changed.length === 0) return;
  throw new CliError(
    exitCodes.failed,
    `${changed.join(', ')} changed although unfinished runs of it are in the store: give the changed machine a new version and keep the old one beside it`,
  );
};

/** Every export that has a machine and the schema of its input is a machine of the user's. */
const importMachines = async ({ machines }: Pick<Settings, 'machines'>): Promise<Definition[]> => {
  const found = await Promise.all(machines.map(importFile));
  return found.flat();
};

const importFile = async (file: string): Promise<Definition[]> => {
  const module = await import(pathToFileURL(resolve(file)).href).catch((error: unknown) => {
    throw new CliError(exitCodes.usage, `--machines ${file} cannot be loaded: ${messageOf(error)}`, {
      cause: error,
    });
  });
  const definitions = Object.values(module as object).filter(isDefinition);
  if (definitions.length === 0)
    throw usage(`--machines ${file} exports no machine: export { machine, input, local, remote }`);
  return definitions;
};

const isDefinition = (value: unknown): value is Definition =>
  typeof value === 'object' && value !== null && 'machine' in value && 'input' in value;
