import type { Database } from '../../sqlite/database.ts';
import { thisHost } from '../../sqlite/host.ts';
import { watchCommits } from '../../sqlite/watch.ts';
import { deadWorkers, leaseMs as defaultLeaseMs } from '../../sqlite/workers.ts';
import type { Consumer, ConsumerOptions, DeadLetters, Depth, Message, Queue, Submission } from '../queue.ts';
import { QueueError } from '../queue.ts';
import { DatabaseError } from '../../sqlite/errors.ts';
import { EmbeddedConsumer } from './consumer.ts';
import type { ConsumerSettings, EmbeddedLog, Surroundings } from './consumer.ts';
import { toDeadLetter } from './dead-letters.ts';
import type { DeadLetterRow } from './dead-letters.ts';

const defaultLapMs = 300_000;

export type EmbeddedOptions = {
  /** How long a delivery that is handed back waits. */
  readonly lapMs?: number;
  /** How long, in ms, a worker that hangs keeps what it holds; the same as the store's. */
  readonly leaseMs?: number;
  readonly now?: () => number;
  readonly log?: EmbeddedLog;
  /** The process's own by default. */
  readonly surroundings?: Surroundings;
};

const own: Surroundings = {
  host: thisHost,
  after(ms, ring) {
    const timeout = setTimeout(ring, ms);
    return () => clearTimeout(timeout);
  },
  watch: watchCommits,
};

const silent: EmbeddedLog = { info() {}, warn() {} };

/**
 * The queue for those who have no broker: tables in the store's own file, shared by all processes that open
 * it. A message is durable when `publish` resolves, and goes back when the worker that holds it dies.
 */
export class EmbeddedQueue implements Queue {
  readonly holdsByLease = true;
  readonly name: string;
  readonly #db: Database;
  readonly #settings: ConsumerSettings;
  readonly #consumers = new Set<EmbeddedConsumer>();

  constructor(db: Database, { surroundings = own, ...options }: EmbeddedOptions = {}) {
    const { lapMs = defaultLapMs, leaseMs = defaultLeaseMs, now = Date.now, log = silent } = options;
    this.name = `embedded in ${db.path}`;
    this.#db = db;
    this.#settings = { ...surroundings, lapMs, leaseMs, now, log };
  }

  async publish(submission: Submission): Promise<void> {
    await this.#accept(() => this.#insert(submission));
    this.#wakeAll();
  }

  consume(options: ConsumerOptions): Consumer {
    const consumer = new EmbeddedConsumer(this.#db, options, this.#settings);
    this.#consumers.add(consumer);
    return consumer;
  }

  readonly deadLetters: DeadLetters = {
    list: async (limit) =>
      this.#db
        .all<DeadLetterRow>('SELECT * FROM dead_letters ORDER BY at, id LIMIT (SELECT :limit)', { limit })
        .map(toDeadLetter),
    requeue: async (id) => {
      const done = await this.#accept(() => {
        const row = this.#db.get<DeadLetterRow>('SELECT * FROM dead_letters WHERE id = :id', { id });
        if (row) this.#insert(toDeadLetter(row).message);
        return this.#forget(id);
      });
      this.#wakeAll();
      return done;
    },
    drop: (id) => this.#accept(() => this.#forget(id)),
  };

  /** What a dead worker held is ready, even if no other one has looked yet. */
  async depth(): Promise<Depth> {
    const now = this.#settings.now();
    const row = this.#db.get<Depth>(
      `SELECT count(*) FILTER (WHERE visible_at <= :now
           AND (holder IS NULL OR holder IN (SELECT value FROM json_each(:dead)))) AS ready,
         count(*) FILTER (WHERE visible_at > :now AND holder IS NULL) AS waiting,
         (SELECT count(*) FROM dead_letters) AS dead
       FROM messages`,
      { now, dead: JSON.stringify(deadWorkers(this.#db, now, this.#settings.host)) },
    );
    return row!;
  }

  async close(): Promise<void> {
    await Promise.all([...this.#consumers].map((consumer) => consumer.close()));
  }

  #insert({ id, machine, body }: Message): void {
    this.#db.run('INSERT INTO messages (id, machine, body, visible_at) VALUES (:id, :machine, :body, 0)', {
      id: id ?? null,
      machine: machine ?? null,
      body,
    });
  }

  #forget(id: string): boolean {
    return this.#db.run('DELETE FROM dead_letters WHERE id = :id', { id }) > 0;
  }

  /** Our own commits wake nobody in this process: `data_version` tells of those of others. */
  #wakeAll(): void {
    for (const consumer of this.#consumers) consumer.wake();
  }

  async #accept<T>(work: () => T): Promise<T> {
    try {
      return await this.#db.write(work);
    } catch (error) {
      throw error instanceof DatabaseError
        ? new QueueError('unavailable', `not accepted: ${error.message}`, { cause: error })
        : error;
    }
  }
}
