/**
 * A worker process that kills itself at a call of a port: `node crash-worker.ts <plan as JSON>`. It is put
 * together as the real one is (src/cli/compose.ts), but every port is wrapped. On SIGTERM it drains, then
 * prints how often each point was passed. It ends with its parent at the latest.
 */
import { randomUUID } from 'node:crypto';
import { openQueue, openStore } from '../../src/cli/compose.ts';
import { quiet } from '../../src/cli/log.ts';
import { sendAlertByAmqp } from '../../src/effects/alert-amqp.ts';
import { sendAlertToTable } from '../../src/effects/alert-embedded.ts';
import { auditOverHttp } from '../../src/effects/audit.ts';
import type { RemoteCall } from '../../src/engine/definition.ts';
import { createTodo } from '../../src/machines/create-todo.ts';
import { createRegistry } from '../../src/machines/registry.ts';
import type { Consumer, ConsumerOptions, Delivery, Queue } from '../../src/queue/queue.ts';
import type { Database } from '../../src/sqlite/database.ts';
import { Worker } from '../../src/worker/worker.ts';
import type { WorkerSettings } from './ends.ts';

/**
 * - `before`: the call does not take place
 * - `after`: it took effect, and nobody has heard of it
 * - `flushed`: for a settlement, which returns before it takes effect: it took effect as well
 */
export type When = 'before' | 'after' | 'flushed';

/** The n-th call of a port method: `store.commit`, `queue.ack`, `call.sendAudit`, `db.run`. */
export type CrashPoint = { readonly at: string; readonly n: number; readonly when: When };

export type Plan = {
  readonly settings: Omit<WorkerSettings, 'auditUrl'> & { readonly auditUrl: string };
  readonly crash?: CrashPoint | undefined;
};

export type Counts = Record<string, number>;

const crashAt = (crash: CrashPoint | undefined) => {
  const counts: Counts = {};
  const die = () => void process.kill(process.pid, 'SIGKILL');
  /** Passes a point: counts the call, performs it, and dies where the plan says so. */
  const pass = <T>(at: string, work: () => T, flush?: () => Promise<unknown>): T => {
    const n = (counts[at] = (counts[at] ?? 0) + 1);
    const dies = (when: When) => crash?.at === at && crash.n === n && crash.when === when;
    if (dies('before')) die();
    const result = work();
    if (dies('flushed')) void flush?.().then(die);
    if (!dies('after')) return result;
    if (result instanceof Promise) return result.then(die) as T;
    die();
    return result;
  };
  return { counts, pass };
};

const { settings: given, crash } = JSON.parse(process.argv[2]!) as Plan;
const settings = { ...given, auditUrl: new URL(given.auditUrl) };
const { counts, pass } = crashAt(crash);

/** Every method of a port is a point. */
const wrapped = <T extends object>(port: string, target: T): T =>
  new Proxy(target, {
    get(_, name) {
      const value: unknown = Reflect.get(target, name);
      if (typeof value !== 'function' || typeof name !== 'string') return value;
      if (name === 'watch') return value.bind(target) as unknown;
      return (...args: unknown[]) =>
        pass(`${port}.${name}`, () => Reflect.apply(value, target, args) as unknown);
    },
  });

const wrappedDelivery = (delivery: Delivery, flush: () => Promise<unknown>): Delivery => ({
  message: delivery.message,
  redelivered: delivery.redelivered,
  ack: () => pass('queue.ack', () => delivery.ack(), flush),
  later: () => pass('queue.later', () => delivery.later(), flush),
  deadLetter: (error) => pass('queue.deadLetter', () => delivery.deadLetter(error)),
});

/** `flush` resolves when settlements that were made before it have taken effect. */
const wrappedQueue = (queue: Queue, flush: () => Promise<unknown>): Queue => ({
  name: queue.name,
  deadLetters: queue.deadLetters,
  publish: (submission) => queue.publish(submission),
  depth: () => queue.depth(),
  close: () => pass('queue.close', () => queue.close()),
  consume: (options: ConsumerOptions): Consumer =>
    pass('queue.consume', () => {
      const onDelivery = (delivery: Delivery) =>
        pass('queue.delivery', () => options.onDelivery(wrappedDelivery(delivery, flush)));
      const consumer = queue.consume({ ...options, onDelivery });
      return { stop: () => pass('queue.stop', () => consumer.stop()) };
    }),
});

const wrappedCall = (name: string, remote: RemoteCall): RemoteCall => ({
  perform: (input, context) => pass(`call.${name}`, () => remote.perform(input, context)),
});

/** Every statement that belongs to a run or to a message, and every COMMIT after such, until the drain. */
const wrapStatements = (db: Database): void => {
  const ours = /\b(runs|transitions|todos|alerts|messages)\b/;
  const { run, exec } = db;
  let dirty = false;
  db.run = (sql, ...params) => {
    if (draining || !ours.test(sql)) return run.call(db, sql, ...params);
    dirty = true;
    return pass('db.run', () => run.call(db, sql, ...params));
  };
  db.exec = (sql) => {
    if (sql !== 'COMMIT' || !dirty) return exec.call(db, sql);
    dirty = false;
    return pass('db.commit', () => exec.call(db, sql));
  };
};

let draining = false;
const { db, store } = openStore(settings);
wrapStatements(db);
const { queue, amqp } = openQueue(settings, quiet, db);
const audit = auditOverHttp(settings.auditUrl, { connections: 8 });
const sendAlert = amqp ? sendAlertByAmqp(amqp.publisher, amqp.topology) : sendAlertToTable(db);
const retry = { base: settings.retryBase, cap: settings.retryCap, giveUpAfter: settings.retryFor };
const registry = createRegistry([
  createTodo(
    { sendAlert: wrappedCall('sendAlert', sendAlert), sendAudit: wrappedCall('sendAudit', audit) },
    retry,
  ),
]);
const crashing = wrapped('store', store);
// The next transaction comes after the settlement's; a broker has read it by the time it answers another question.
const flush = () => (amqp ? queue.depth() : db.write(() => {}));
const worker = new Worker({
  id: randomUUID(),
  store: crashing,
  queue: wrappedQueue(queue, flush),
  registry,
  log: quiet,
  concurrency: settings.concurrency,
  callTimeout: settings.callTimeout,
});

process.stdin.on('end', () => process.exit(1)).resume();
process.once('SIGTERM', () => {
  draining = true;
  void worker.drain().then(async () => {
    await audit.close();
    db.close();
    process.stdout.write(JSON.stringify(counts), () => process.exit(0));
  });
});

await crashing.prepare(registry.machines);
await worker.start();
