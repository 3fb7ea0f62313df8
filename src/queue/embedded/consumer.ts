import { messageOf } from '../../engine/errors.ts';
import type { Database } from '../../sqlite/database.ts';
import type { Host } from '../../sqlite/host.ts';
import type { watchCommits } from '../../sqlite/watch.ts';
import { joinWorkers, renewLease } from '../../sqlite/workers.ts';
import { isGone } from '../../sqlite/errors.ts';
import type { Consumer, ConsumerOptions, Delivery } from '../queue.ts';
import { keepDeadLetter } from './dead-letters.ts';

type Row = { seq: number; id: string | null; machine: string | null; body: Buffer; deliveries: number };

/** A bare parameter as a limit would have SQLite compile the statement anew whenever it is bound. */
const limit = 'LIMIT (SELECT :room)';

/** A published message is ready whatever the clock says: it may have been set back since. */
const published = `SELECT seq FROM messages WHERE holder IS NULL AND visible_at = 0 ORDER BY seq ${limit}`;

const returned = `SELECT seq FROM messages
  WHERE holder IS NULL AND visible_at BETWEEN 1 AND :now ORDER BY visible_at ${limit}`;

/** A longer `setTimeout` than 2^31 ms fires at once; an hour is far enough. */
const longestSleepMs = 3_600_000;

/** How long after a failed look at the file the next one comes, in ms. */
const againMs = 500;

/** Where the queue tells of its troubles; pino fits. */
export type EmbeddedLog = Record<'info' | 'warn', (details: object, message: string) => void>;

/** What is around a process. A simulation brings a world of its own, in which no time is lost. */
export type Surroundings = {
  readonly host: Host;
  /** Calls back once after `ms`. Returns what cancels it. */
  readonly after: (ms: number, ring: () => void) => () => void;
  readonly watch: typeof watchCommits;
};

export type ConsumerSettings = Surroundings & {
  readonly lapMs: number;
  readonly leaseMs: number;
  readonly now: () => number;
  readonly log: EmbeddedLog;
};

/** Takes messages for a worker: held by its lease in the file, so that they go back when it dies. */
export class EmbeddedConsumer implements Consumer {
  readonly #db: Database;
  readonly #options: ConsumerOptions;
  readonly #settings: ConsumerSettings;
  readonly #inHand = new Set<number>();
  readonly #settling = new Set<Promise<unknown>>();
  readonly #watcher: { close(): void };
  #cancelWake: (() => void) | undefined;
  #fetching: Promise<void> | undefined;
  #again = false;
  #isFailing = false;
  #newFirst = false;
  #stopped = false;
  #closed: Promise<void> | undefined;

  constructor(db: Database, options: ConsumerOptions, settings: ConsumerSettings) {
    this.#db = db;
    this.#options = options;
    this.#settings = settings;
    this.#watcher = settings.watch(db, () => this.wake());
    this.wake();
  }

  /** There may be something to take. */
  wake(): void {
    if (this.#stopped) return;
    this.#again = true;
    this.#fetching ??= this.#fetchAll();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#watcher.close();
    this.#cancelWake?.();
    await this.#fetching;
  }

  /** Flushes settlements, then gives back what is still in hand. */
  close(): Promise<void> {
    return (this.#closed ??= this.#close());
  }

  async #close(): Promise<void> {
    await this.stop();
    await Promise.allSettled(this.#settling);
    if (this.#inHand.size === 0) return;
    this.#inHand.clear();
    const { worker } = this.#options;
    await this.#db
      .write(() => this.#db.run('UPDATE messages SET holder = NULL WHERE holder = :worker', { worker }))
      .catch((error: unknown) => {
        if (!isGone(error)) throw error; // and with its file the messages are gone
      });
  }

  async #fetchAll(): Promise<void> {
    while (this.#again && !this.#stopped) {
      this.#again = false;
      try {
        await this.#fetch();
        this.#works();
      } catch (error) {
        this.#fails(error);
        this.#wakeAt(this.#now() + againMs);
      }
    }
    this.#fetching = undefined;
  }

  async #fetch(): Promise<void> {
    const room = this.#options.prefetch - this.#inHand.size;
    if (room <= 0) return;
    await this.#shortenLaps();
    const next = this.#nextVisible();
    if (next === undefined) return;
    if (next > this.#now()) return this.#wakeAt(next);
    const { rows, isLost } = await this.#db.write(() => ({
      isLost: this.#rejoined(),
      rows: this.#take(room),
    }));
    if (isLost) this.#lose();
    for (const row of rows) this.#inHand.add(row.seq);
    for (const row of rows) this.#options.onDelivery(this.#delivery(row));
    if (rows.length > 0) this.#again = true; // until nothing is left, or no room
  }

  /** Nobody waits longer than a lap: a message that would has been on its way when the clock was set back. */
  async #shortenLaps(): Promise<void> {
    const latest = this.#now() + this.#settings.lapMs;
    const far = 'holder IS NULL AND visible_at > :latest';
    if (this.#db.get(`SELECT 1 FROM messages WHERE ${far} LIMIT 1`, { latest }) === undefined) return;
    await this.#db.write(() =>
      this.#db.run(`UPDATE messages SET visible_at = :latest WHERE ${far}`, { latest }),
    );
  }

  #nextVisible(): number | undefined {
    return this.#db.get<{ visible_at: number }>(
      'SELECT visible_at FROM messages WHERE holder IS NULL ORDER BY visible_at LIMIT 1',
    )?.visible_at;
  }

  /** New messages and those back from a lap take turns to be first, so that neither keeps the other waiting. */
  #take(room: number): Row[] {
    this.#newFirst = !this.#newFirst;
    const [first, second] = this.#newFirst ? [published, returned] : [returned, published];
    return this.#db
      .all<Row>(
        `UPDATE messages SET holder = :worker, deliveries = deliveries + 1
         WHERE seq IN (SELECT * FROM (${first}) UNION ALL SELECT * FROM (${second}) ${limit})
         RETURNING seq, id, machine, body, deliveries`,
        { worker: this.#options.worker, now: this.#now(), room },
      )
      .toSorted((one, two) => one.seq - two.seq); // RETURNING promises no order
  }

  /** True when the lease was gone: another worker took this one for dead, and its messages went back. */
  #rejoined(): boolean {
    const { worker } = this.#options;
    const { leaseMs, host } = this.#settings;
    const expiresAt = this.#now() + leaseMs;
    if (renewLease(this.#db, worker, expiresAt)) return false;
    joinWorkers(this.#db, worker, expiresAt, host);
    return true;
  }

  #lose(): void {
    if (this.#inHand.size === 0) return;
    this.#inHand.clear();
    this.#options.onLost();
  }

  /** One line a problem, however often it comes back. */
  #fails(error: unknown): void {
    if (!this.#isFailing && !isGone(error))
      // which the worker tells of
      this.#settings.log.warn(
        { error: messageOf(error) },
        'the queue cannot hand out messages; it tries again',
      );
    this.#isFailing = true;
  }

  #works(): void {
    if (this.#isFailing) this.#settings.log.info({}, 'the queue works again');
    this.#isFailing = false;
  }

  #delivery({ seq, id, machine, body, deliveries }: Row): Delivery {
    const message = { id: id ?? undefined, machine: machine ?? undefined, body };
    return {
      message,
      redelivered: deliveries > 1,
      ack: () => void this.#settle(seq, () => this.#delete(seq)).catch(() => {}),
      later: () => void this.#settle(seq, () => this.#postpone(seq)).catch(() => {}),
      deadLetter: (error) =>
        this.#settle(seq, () => {
          if (this.#delete(seq) > 0) keepDeadLetter(this.#db, message, error, this.#now());
        }),
    };
  }

  /** Once: a second settlement finds nothing in hand. What cannot be written stays held, and comes again. */
  async #settle(seq: number, write: () => unknown): Promise<void> {
    if (!this.#inHand.delete(seq)) return;
    const settling = this.#written(write);
    this.#settling.add(settling);
    try {
      await settling;
    } catch (error) {
      this.#inHand.add(seq); // it goes back when the queue closes
      throw error;
    } finally {
      this.#settling.delete(settling);
      this.wake();
    }
  }

  /** Again until it is written: a message that is held by this worker comes to nobody else. */
  async #written(write: () => unknown): Promise<unknown> {
    for (;;) {
      try {
        return await this.#db.write(write);
      } catch (error) {
        if (this.#stopped || isGone(error)) throw error;
        await new Promise<void>((resolve) => void this.#settings.after(againMs, resolve));
      }
    }
  }

  #delete(seq: number): number {
    const { worker } = this.#options;
    return this.#db.run('DELETE FROM messages WHERE seq = :seq AND holder = :worker', { seq, worker });
  }

  #postpone(seq: number): void {
    this.#db.run(
      `UPDATE messages SET holder = NULL, deliveries = 0, visible_at = :at WHERE seq = :seq AND holder = :worker`,
      { seq, worker: this.#options.worker, at: this.#now() + this.#settings.lapMs },
    );
  }

  #wakeAt(at: number): void {
    this.#cancelWake?.();
    const delay = Math.min(Math.max(1, at - this.#now()), longestSleepMs);
    if (!this.#stopped) this.#cancelWake = this.#settings.after(delay, () => this.wake());
  }

  #now(): number {
    return this.#settings.now();
  }
}
