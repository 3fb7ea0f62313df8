/** All that a soak plays on: a store, a queue, a broker of its own, the receivers and what they have seen. */
import { mkdtempSync, rmSync } from 'node:fs';
import path from 'node:path';
import { startChild } from '../bench/child.ts';
import type { Child } from '../bench/child.ts';
import { openQueue, openStore } from '../src/cli/compose.ts';
import { quiet } from '../src/cli/log.ts';
import type { WorkerProcessSettings } from '../src/cli/worker-process.ts';
import type { Queue } from '../src/queue/queue.ts';
import type { Database } from '../src/sqlite/database.ts';
import type { Store } from '../src/store/store.ts';
import { startBroker } from '../src/cli/broker/broker.ts';
import type { Broker } from '../src/cli/broker/broker.ts';
import { countInRabbit, countInStore } from './alerts.ts';
import type { AlertCounter } from './alerts.ts';
import { Effects } from './ledger.ts';
import type { Ids } from './ledger.ts';

export type Site = {
  readonly settings: WorkerProcessSettings;
  readonly db: Database;
  readonly store: Store;
  readonly queue: Queue;
  readonly receiver: Child;
  /** Only where it is our own. */
  readonly broker: Broker | undefined;
  readonly alerts: Effects;
  readonly counter: AlertCounter;
  close(): Promise<void>;
};

/** A worker that is stopped longer than this (ms) loses its runs: the shortest lease there is. */
const lease = 3000;

/** What is handed back comes again soon, so that laps are part of it. In ms. */
const lap = 30_000;

/** `queue` is `amqp` for a broker of its own, `embedded`, or the URL of another broker. */
export const openSite = async (
  queue: string,
  { dir, prefix, ids }: { dir: string; prefix: string; ids: Ids },
): Promise<Site> => {
  const folder = mkdtempSync(path.join(dir, 'soak-'));
  process.once('exit', () => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }));
  process.env['TMPDIR'] = folder; // the broker's data goes there: /tmp may be memory
  const broker = queue === 'amqp' ? await startBroker() : undefined;
  const receiver = await startChild(path.join(import.meta.dirname, 'receiver.ts'), [prefix]);
  const auditUrl = new URL(await receiver.ask<string>('url'));
  const settings = settingsOf({
    store: path.join(folder, 'soak.db'),
    queue: broker?.url ?? queue,
    prefix,
    auditUrl,
  });
  const { db, store } = openStore(settings);
  const open = openQueue({ ...settings, machines: [] }, quiet, db);
  const alerts = new Effects(ids, 'sendAlert');
  const counter = open.amqp ? countInRabbit(settings.queue, open.amqp, alerts) : countInStore(db, alerts);
  await open.queue.depth(); // declares the queues
  await broker?.settle();
  const close = async () => {
    await counter.close();
    if (!broker) await open.amqp?.remove();
    await open.close();
    db.close();
    await broker?.dispose();
    await receiver.stop();
  };
  return { settings, db, store, queue: open.queue, receiver, broker, alerts, counter, close };
};

const settingsOf = (
  where: Pick<WorkerProcessSettings, 'store' | 'queue' | 'prefix' | 'auditUrl'>,
): WorkerProcessSettings &
  Pick<Parameters<typeof openQueue>[0], 'callTimeout' | 'retryBase' | 'retryFor'> => ({
  ...where,
  lap,
  lease,
  auditVerify: false,
  concurrency: 256,
  callTimeout: 10_000,
  retryBase: 200,
  retryCap: 1000,
  retryFor: 86_400_000,
  logLevel: 'warn',
});
