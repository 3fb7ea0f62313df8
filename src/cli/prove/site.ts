/** One store, one queue, one audit receiver: where one cell happens, and what is seen there at the receiving ends. */
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Machine } from '../../engine/machine.ts';
import { isFinal } from '../../engine/run.ts';
import type { Database } from '../../sqlite/database.ts';
import type { Store } from '../../store/store.ts';
import { alertsInRabbit, alertsInStore } from '../alert-source.ts';
import { tlsOf } from '../tls.ts';
import { isEmbedded, openQueue, openStore } from '../compose.ts';
import type { OpenQueue, WorkerSettings } from '../compose.ts';
import { quiet } from '../log.ts';
import type { Settings } from '../settings.ts';
import { accept, checkWish } from '../submission.ts';
import type { Registry } from '../../machines/registry.ts';
import { programOf, startChild } from './child.ts';
import type { Child } from './child.ts';
import type { Plan } from './crash-worker.ts';
import { startProxy } from './proxy.ts';
import type { Proxy } from './proxy.ts';
import { readLines, ReceiverChild } from './receiver-child.ts';
import { runOfKey } from './script.ts';

/** What all cells of a venue share. */
export type World = {
  /** Each cell gets a folder of its own in it. */
  readonly folder: string;
  /** Its queue, and whatever a machine of one's own needs. */
  readonly settings: Settings;
  readonly registry: Registry;
  readonly machine: Machine;
  readonly input: unknown;
  /** How long a system may take to recover, in ms. */
  readonly patience: number;
  /** The program that is the worker. */
  readonly program: string;
  /** Nothing stands between a worker and a broker that is reached by TLS. */
  readonly hasProxy: boolean;
};

/** An effect as it was seen: by a receiver, in the queue of alerts, or where the call was made. */
export type SeenEffect = { readonly call: string; readonly run: string; readonly key: string };

/** How often something is asked that nobody tells, in ms. */
const askMs = 25;

/** Short waits, so that a cell takes seconds; a call is given up only when nobody can answer it any more. */
const pace = {
  lap: 500,
  concurrency: 16,
  callTimeout: 30_000,
  retryBase: 50,
  retryCap: 500,
  retryFor: 86_400_000,
  logLevel: 'silent',
} as const;

let sites = 0;

export const openSite = async (world: World, holdsAudit: boolean): Promise<Site> => {
  const number = (sites += 1);
  const folder = path.join(world.folder, String(number));
  await mkdir(folder, { recursive: true });
  const receiver = new ReceiverChild(path.join(folder, 'audit.jsonl'));
  const auditUrl = await receiver.start({ holds: holdsAudit });
  const proxy = world.hasProxy ? await startProxy(addressOf(world.settings.queue)) : undefined;
  const settings: WorkerSettings = {
    ...world.settings,
    ...pace,
    store: path.join(folder, 'holdfast.db'),
    prefix: `holdfast-prove-${process.pid}-${number}`,
    auditUrl,
  };
  return new Site(world, { settings, receiver, proxy, effects: path.join(folder, 'effects.jsonl') });
};

const addressOf = (url: string): { host: string; port: number } => {
  const { hostname, port } = new URL(url);
  return { host: hostname, port: Number(port || 5672) };
};

type Parts = {
  readonly settings: WorkerSettings;
  readonly receiver: ReceiverChild;
  readonly proxy: Proxy | undefined;
  readonly effects: string;
};

export class Site {
  readonly receiver: ReceiverChild;
  readonly proxy: Proxy | undefined;
  readonly store: Store;
  readonly db: Database;
  readonly #world: World;
  readonly #parts: Parts;
  readonly #queue: OpenQueue;
  readonly #children: Child[] = [];

  constructor(world: World, parts: Parts) {
    this.#world = world;
    this.#parts = parts;
    this.receiver = parts.receiver;
    this.proxy = parts.proxy;
    ({ db: this.db, store: this.store } = openStore(parts.settings));
    this.#queue = openQueue(parts.settings, quiet, this.db);
  }

  /** Accepted submissions; the ids of their runs. */
  async submit(count: number): Promise<string[]> {
    const { registry, machine, input } = this.#world;
    const wishes = Array.from({ length: count }, () => checkWish(registry, { machine: machine.ref, input }));
    for (const wish of wishes) await accept(this.#queue.queue, undefined, wish);
    return wishes.map(({ id }) => id);
  }

  /** What the worker sees is the same, but for a proxy before the broker. */
  startWorker(plan: Pick<Plan, 'stopAt' | 'script'>): Child {
    return this.#start(this.#world.program, plan);
  }

  startCancel(plan: Pick<Plan, 'stopAt' | 'cancel'>): Child {
    return this.#start(programOf('cancel-program'), plan);
  }

  #start(program: string, plan: Omit<Plan, 'settings' | 'effects'>): Child {
    const { settings, proxy, effects } = this.#parts;
    const queue = proxy ? throughProxy(settings.queue, proxy.port) : settings.queue;
    const child = startChild(program, { ...plan, effects, settings: { ...settings, queue } });
    this.#children.push(child);
    return child;
  }

  async untilIn(state: string, count: number): Promise<void> {
    for (;;) {
      const rows = await this.store.census();
      if (rows.some((row) => row.state === state && row.count >= count)) return;
      await delay(askMs);
    }
  }

  /** Where a call's answer is withheld: its effect took place. */
  async untilMade(call: string, count: number): Promise<void> {
    while (this.#made(call) < count) await delay(askMs);
  }

  #made(call: string): number {
    return this.#madeCalls().filter((effect) => effect.call === call).length;
  }

  #madeCalls(): { call: string; key: string }[] {
    return readLines(this.#parts.effects);
  }

  async untilFinal(ids: readonly string[]): Promise<void> {
    for (const id of ids) {
      for (;;) {
        const run = await this.store.get(id);
        if (run && isFinal(run)) break;
        await delay(askMs);
      }
    }
  }

  /** Messages that are left: a worker that lives still holds those that it did not settle. */
  async left(): Promise<{ messages: number; dead: number }> {
    const { ready, waiting, dead } = await this.#queue.queue.depth();
    const [held] = isEmbedded(this.#parts.settings)
      ? this.db.all<{ count: number }>('SELECT count(*) AS count FROM messages WHERE holder IS NOT NULL')
      : [];
    return { messages: ready + waiting + (held?.count ?? 0), dead };
  }

  todos(): string[] {
    const exists = this.db.get(`SELECT 1 FROM sqlite_schema WHERE name = 'todos'`);
    return exists ? this.db.all<{ id: string }>('SELECT id FROM todos').map(({ id }) => id) : [];
  }

  /** Counted at the receiving ends where they are ours, and where the call was made elsewhere. Repeats are there too. */
  async effects(): Promise<SeenEffect[]> {
    if (this.#world.machine.id !== 'create-todo')
      return this.#madeCalls().map(({ call, key }) => ({ call, key, run: runOfKey(key) }));
    const audits = this.receiver.entries().map(({ key, run }) => ({ key, run, call: 'sendAudit' }));
    const source = this.#alertSource();
    const { alerts } = await source.read(1000);
    const sent = alerts.map(({ key, event }) => ({
      key,
      run: (event as { subject: string }).subject,
      call: 'sendAlert',
    }));
    return [...audits, ...sent];
  }

  #alertSource() {
    const { settings } = this.#parts;
    const { amqp } = this.#queue;
    if (!amqp) return alertsInStore(this.db, this.store);
    return alertsInRabbit({ url: settings.queue, tls: tlsOf(settings), log: quiet, ...amqp });
  }

  async close(): Promise<void> {
    for (const child of this.#children) child.process.kill('SIGKILL');
    await Promise.all(this.#children.map(({ exited }) => exited));
    await this.receiver.kill();
    await this.proxy?.close();
    await this.#queue.amqp?.remove().catch(() => {}); // its broker may be gone for good
    await this.#queue.close();
    this.db.close();
  }
}

const throughProxy = (url: string, port: number): string => {
  const through = new URL(url);
  through.hostname = '127.0.0.1';
  through.port = String(port);
  return through.href;
};
