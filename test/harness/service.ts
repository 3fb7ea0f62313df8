import { randomUUIDv7 } from 'node:crypto';
import path from 'node:path';
import { inject, onTestFinished } from 'vitest';
import { openAmqp } from '../../src/queue/amqp/open.ts';
import { EmbeddedQueue } from '../../src/queue/embedded/embedded-queue.ts';
import type { Queue } from '../../src/queue/queue.ts';
import { startAuditReceiver } from '../../src/cli/receiver.ts';
import type { AuditReceiver } from '../../src/cli/receiver.ts';
import { openDatabase } from '../../src/sqlite/database.ts';
import { holdfast, spawnHoldfast } from './cli.ts';
import type { CliOptions, CliProcess, CliResult } from './cli.ts';
import { tempDir } from './tmp.ts';

export type QueueKind = 'embedded' | 'RabbitMQ';
export const queueKinds: readonly QueueKind[] = ['embedded', 'RabbitMQ'];

/** One installation of Holdfast: a store, a queue and an audit receiver of its own, driven by the real binary. */
export type Service = {
  readonly store: string;
  readonly env: Record<string, string>;
  readonly receiver: AuditReceiver;
  /** The service's queue, as any other program reaches it. */
  readonly queue: Queue;
  run(args: string[], options?: CliOptions): Promise<CliResult>;
  /** Starts a worker and waits until it runs. */
  worker(args?: string[], options?: CliOptions): Promise<CliProcess>;
};

const quiet = { debug() {}, info() {}, warn() {}, error() {} };

/** `onEntry` may throw or wait, to make the audit service fail or hang. */
export const startService = async (
  kind: QueueKind,
  options: Parameters<typeof startAuditReceiver>[0] = {},
): Promise<Service> => {
  const folder = tempDir();
  const store = path.join(folder, 'store.db');
  const receiver = await startAuditReceiver(options);
  onTestFinished(() => receiver.close());
  const prefix = `test-${randomUUIDv7()}`;
  const url = kind === 'RabbitMQ' ? inject('amqpUrl') : 'embedded';
  const env = {
    HOLDFAST_STORE: store,
    HOLDFAST_QUEUE: url,
    HOLDFAST_PREFIX: prefix,
    HOLDFAST_AUDIT_URL: receiver.url.href,
  };
  const run = (args: string[], cli: CliOptions = {}) =>
    holdfast(args, { ...cli, env: { ...env, ...cli.env } });
  const worker = async (args: string[] = [], cli: CliOptions = {}) => {
    const running = spawnHoldfast(['worker', ...args], { ...cli, env: { ...env, ...cli.env } });
    await running.waitForLine(/the worker runs/);
    return running;
  };
  return { store, env, receiver, queue: openQueue(kind, store, url, prefix), run, worker };
};

const openQueue = (kind: QueueKind, store: string, url: string, prefix: string): Queue => {
  if (kind === 'RabbitMQ') {
    const amqp = openAmqp({ url, prefix, log: quiet });
    onTestFinished(async () => {
      await amqp.remove();
      await amqp.queue.close();
    });
    return amqp.queue;
  }
  const db = openDatabase(store);
  onTestFinished(() => db.close());
  return new EmbeddedQueue(db);
};
