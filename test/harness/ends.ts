/** One store, one queue, one audit receiver, and what is counted at the receiving ends. */
import { randomUUID } from 'node:crypto';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { connect } from 'amqplib';
import type { ChannelModel } from 'amqplib';
import { HTTPException } from 'hono/http-exception';
import { openQueue, openStore, openWorker } from '../../src/cli/compose.ts';
import type { OpenWorker, WorkerSettings } from '../../src/cli/compose.ts';
import { quiet } from '../../src/cli/log.ts';
import { startAuditReceiver } from '../../src/cli/receiver.ts';
import type { AuditReceiver, Received } from '../../src/cli/receiver.ts';
import { tallyOf } from '../../src/cli/tally.ts';
import type { Effect, Tally } from '../../src/cli/tally.ts';
import { readAlerts } from '../../src/effects/alert-embedded.ts';
import type { Run } from '../../src/engine/run.ts';
import { openAmqp } from '../../src/queue/amqp/open.ts';
import { openReadOnly } from '../../src/sqlite/database.ts';
import type { Database } from '../../src/sqlite/database.ts';
import type { Store } from '../../src/store/store.ts';
import type { Log } from '../../src/worker/log.ts';

export type EndsOptions = {
  /** `embedded`, or the URL of a broker. */
  readonly queue: string;
  /** Where the store is. */
  readonly folder: string;
  readonly settings?: Partial<WorkerSettings>;
  /** Called before each audit entry is answered; the answer waits for it; `away()` makes it 503. */
  readonly onAudit?: (entry: Received) => void | Promise<void>;
};

/** What became of the runs: a story for a broken assertion. */
export type Report = {
  readonly tally: Tally;
  /** Runs whose history has a gap, or does not end where the record stands. */
  readonly gaps: string[];
  /** Accepted submissions that are not `done`, each with its state and reason. */
  readonly notDone: string[];
};

export class Ends {
  readonly settings: WorkerSettings;
  readonly audit: AuditReceiver;
  readonly #alerts: Effect[] = [];
  #model: Promise<ChannelModel> | undefined;

  constructor(settings: WorkerSettings, audit: AuditReceiver) {
    this.settings = settings;
    this.audit = audit;
  }

  get isEmbedded(): boolean {
    return this.settings.queue === 'embedded';
  }

  /** The flags that make the real binary a worker here. */
  get flags(): string[] {
    const { auditUrl, concurrency, lap, lease } = this.settings;
    return [
      ...this.queueFlags,
      '--audit-url',
      auditUrl.href,
      '--concurrency',
      `${concurrency}`,
      '--lap',
      `${lap}ms`,
      '--lease',
      `${lease}ms`,
    ];
  }

  /** The flags of commands that need the store and the queue only. */
  get queueFlags(): string[] {
    const { store, queue, prefix } = this.settings;
    return ['--store', store, '--queue', queue, '--prefix', prefix];
  }

  /** Accepted submissions: each resolves only when the queue has it safe. */
  async submit(
    count: number,
    titleOf: (index: number) => string = (index) => `todo ${index}`,
  ): Promise<string[]> {
    const { queue, close } = openQueue(this.settings, quiet);
    const ids = Array.from({ length: count }, () => randomUUID());
    await Promise.all(
      ids.map((id, index) =>
        queue.publish({
          id,
          machine: 'create-todo@1',
          body: Buffer.from(JSON.stringify({ title: titleOf(index) })),
        }),
      ),
    );
    await close();
    return ids;
  }

  /** A worker in this process. It has not started. */
  openWorker(log: Log = quiet): Promise<OpenWorker> {
    return openWorker(this.settings, log);
  }

  /** Resolves when the store says `true`; asked after every commit of another connection. */
  async until(
    what: string,
    holds: (store: Store, db: Database) => Promise<boolean> | boolean,
    timeout = 20_000,
  ): Promise<void> {
    const { db, store } = openStore(this.settings);
    const late = AbortSignal.timeout(timeout);
    const aborted = new Promise<void>((resolve) =>
      late.addEventListener('abort', () => resolve(), { once: true }),
    );
    let changed = Promise.withResolvers<void>();
    const watcher = store.watch(() => changed.resolve());
    try {
      while (!(await holds(store, db))) {
        if (late.aborted)
          throw new Error(`${timeout} ms went by before ${what}: ${JSON.stringify(await store.census())}`);
        await Promise.race([changed.promise, aborted]);
        changed = Promise.withResolvers();
      }
    } finally {
      watcher.close();
      db.close();
    }
  }

  /** Resolves when this many runs are final. */
  untilFinal(count: number, timeout?: number): Promise<void> {
    return this.until(
      `${count} runs were final`,
      async (store) => (await countOf(store, ({ status }) => status !== 'active')) >= count,
      timeout,
    );
  }

  /** Resolves when this many runs are in the state. */
  untilIn(state: string, count: number, timeout?: number): Promise<void> {
    return this.until(
      `${count} runs were in ${state}`,
      async (store) => (await countOf(store, (row) => row.state === state)) >= count,
      timeout,
    );
  }

  /** Messages that nobody holds, or in whose holder's hands they are still. */
  async left(): Promise<{ ready: number; waiting: number; dead: number; held: number }> {
    const { queue, close } = openQueue(this.settings, quiet);
    try {
      const held = this.isEmbedded
        ? this.#read((db) => db.all('SELECT 1 FROM messages WHERE holder IS NOT NULL').length)
        : 0;
      return { ...(await queue.depth()), held: held ?? 0 };
    } finally {
      await close();
    }
  }

  /** What the receivers and the store have seen by now. */
  async report(accepted: readonly string[]): Promise<Report> {
    const tally = tallyOf({
      accepted,
      todos: this.todos(),
      alerts: await this.alerts(),
      audits: this.audits(),
    });
    const gaps = this.#read((db) => runsWithGaps(db)) ?? [];
    const runs = new Map(
      this.#read((db) => db.all<Run>('SELECT id, state, status, reason FROM runs'))?.map((run) => [
        run.id,
        run,
      ]),
    );
    const notDone = accepted.filter((id) => runs.get(id)?.status !== 'done');
    return {
      tally,
      gaps,
      notDone: notDone.map((id) => `${id}: ${runs.get(id)?.state ?? 'no run'} ${runs.get(id)?.reason ?? ''}`),
    };
  }

  /** Every row of every run, for telling whether anything changed. */
  contents(): unknown {
    return this.#read((db) => ({
      runs: db.all('SELECT * FROM runs ORDER BY id'),
      transitions: db.all('SELECT * FROM history ORDER BY run, seq'),
      todos: db.all('SELECT * FROM todos ORDER BY id'),
    }));
  }

  todos(): string[] {
    return (
      this.#read((db) =>
        hasTodos(db) ? db.all<{ id: string }>('SELECT id FROM todos').map(({ id }) => id) : [],
      ) ?? []
    );
  }

  /** Repeats are entries of their own. */
  audits(): Effect[] {
    return [...this.audit.received.values()].flatMap(({ key, body, deliveries }) => {
      const { todo } = body as { todo: { id: string } };
      return Array.from({ length: deliveries }, () => ({ key, todo: todo.id }));
    });
  }

  /** Repeats are entries of their own. From a broker they are taken for good, and remembered here. */
  async alerts(): Promise<Effect[]> {
    if (this.isEmbedded)
      return (
        this.#read((db) =>
          readAlerts(db, 0, 100_000).map(({ key, event }) => ({ key, todo: todoOf(event) })),
        ) ?? []
      );
    this.#model ??= connect(this.settings.queue, { noDelay: true });
    const channel = await (await this.#model).createChannel();
    for (;;) {
      const message = await channel.get(`${this.settings.prefix}.alerts`, { noAck: true });
      if (!message) break;
      this.#alerts.push({
        key: String(message.properties.messageId),
        todo: todoOf(message.content.toString()),
      });
    }
    await channel.close();
    return this.#alerts;
  }

  async close(): Promise<void> {
    await this.audit.close();
    if (this.isEmbedded) return;
    await (await this.#model?.catch(() => undefined))?.close().catch(() => {});
    const { queue: url, prefix, lap } = this.settings;
    const amqp = openAmqp({ url, prefix, lap, log: quiet });
    await amqp.remove().catch(() => {}); // its broker may be gone for good
    await amqp.queue.close();
  }

  #read<T>(read: (db: Database) => T): T | undefined {
    const db = openReadOnly(this.settings.store);
    try {
      return db && read(db);
    } finally {
      db?.close();
    }
  }
}

let made = 0;

export const openEnds = async ({ queue, folder, settings, onAudit }: EndsOptions): Promise<Ends> => {
  const audit = await startAuditReceiver(onAudit && { onEntry: onAudit });
  return new Ends(
    {
      store: path.join(folder, 'holdfast.db'),
      queue,
      prefix: `ends-${process.pid}-${(made += 1)}`,
      lap: 500,
      ca: undefined,
      cert: undefined,
      certKey: undefined,
      machines: [],
      auditUrl: audit.url,
      auditVerify: false,
      auditCa: undefined,
      concurrency: 256,
      callTimeout: 10_000,
      lease: 15_000,
      retryBase: 50,
      retryCap: 500,
      retryFor: 86_400_000,
      logLevel: 'silent',
      ...settings,
    },
    audit,
  );
};

/** What a report says when nothing went wrong; `repeats` are allowed, under their own key. */
export const clean = (count: number, repeats: number) => ({
  tally: {
    accepted: count,
    todos: count,
    alerts: count,
    audits: count,
    lost: 0,
    phantom: 0,
    doubled: 0,
    repeats,
  },
  gaps: [],
  notDone: [],
});

export const nothingLeft = { ready: 0, waiting: 0, dead: 0, held: 0 };

/** Messages that were acked may come again, for acks get lost; so a worker looks again until none is left. */
export const emptied = async (ends: Ends): Promise<void> => {
  for (let pass = 1; ; pass++) {
    const left = await ends.left();
    if (left.ready + left.waiting + left.held === 0) return;
    if (pass === 5) throw new Error(`after ${pass} workers the queue still has ${JSON.stringify(left)}`);
    const open = await ends.openWorker();
    await open.worker.start();
    await drained(open);
    await open.close();
  }
};

/** Resolves when no message is ready or on a lap. A queue tells nobody that it is empty, so it is asked. */
export const drained = async ({ queue, worker }: OpenWorker, timeout = 10_000): Promise<void> => {
  const deadline = performance.now() + timeout;
  for (;;) {
    const { ready, waiting } = await queue.depth();
    if (ready + waiting + worker.inHand === 0) return;
    if (performance.now() > deadline)
      throw new Error(`the queue is not empty after ${timeout} ms: ${ready} ready, ${waiting} waiting`);
    await delay(20);
  }
};

/** What an audit receiver throws to answer 503. */
export const away = (): Error => new HTTPException(503, { message: 'away' });

/** A gate that audit entries wait at. */
export const gate = () => {
  const opened = Promise.withResolvers<void>();
  opened.promise.catch(() => {}); // nobody may be waiting any more
  const arrivals = new Map<number, PromiseWithResolvers<void>>();
  let waiting = 0;
  const arrival = (count: number) => {
    const known = arrivals.get(count) ?? Promise.withResolvers<void>();
    arrivals.set(count, known);
    return known;
  };
  return {
    open: () => opened.resolve(),
    /** Those who wait fail: the receiver answers 503. */
    refuse: () => opened.reject(away()),
    /** Waits at the gate. */
    pass: (): Promise<void> => {
      arrival((waiting += 1)).resolve();
      return opened.promise;
    },
    /** Resolves when this many have come. */
    arrived: (count: number): Promise<void> => arrival(count).promise,
  };
};

const countOf = async (
  store: Store,
  wanted: (row: { status: string; state: string }) => boolean,
): Promise<number> => (await store.census()).filter(wanted).reduce((sum, { count }) => sum + count, 0);

const todoOf = (event: string): string => (JSON.parse(event) as { data: { id: string } }).data.id;

const hasTodos = (db: Database): boolean =>
  db.get(`SELECT 1 FROM sqlite_schema WHERE name = 'todos'`) !== undefined;

const runsWithGaps = (db: Database): string[] =>
  db
    .all<{ id: string; story: string }>(
      `SELECT runs.id, runs.seq || ' in the record, ' || group_concat(transitions.seq ORDER BY transitions.seq) AS story
       FROM runs LEFT JOIN transitions ON run = no GROUP BY id
       HAVING count(*) <> runs.seq OR max(transitions.seq) IS NOT runs.seq OR min(transitions.seq) IS NOT 1`,
    )
    .map(({ id, story }) => `${id}: ${story}`);
