import type { Database } from '../../sqlite/database.ts';
import { watchCommits } from '../../sqlite/watch.ts';
import { joinWorkers, renewLease } from '../../sqlite/workers.ts';
import type { Consumer, ConsumerOptions, Delivery } from '../queue.ts';
import { keepDeadLetter } from './dead-letters.ts';

type Row = { seq: number; id: string | null; machine: string | null; body: Buffer; deliveries: number };

/** How long after a failed look at the file the next one comes, in ms. */
const againMs = 500;

/** Takes messages for a worker: held by its lease in the file, so that they go back when it dies. */
export class EmbeddedConsumer implements Consumer {
  readonly #db: Database;
  readonly #options: ConsumerOptions;
  readonly #lapMs: number;
  readonly #now: () => number;
  readonly #inHand = new Set<number>();
  readonly #settling = new Set<Promise<unknown>>();
  readonly #watcher: { close(): void };
  #timer: NodeJS.Timeout | undefined;
  #fetching: Promise<void> | undefined;
  #again = false;
  #joined = false;
  #stopped = false;
  #closed: Promise<void> | undefined;

  constructor(db: Database, options: ConsumerOptions, { lapMs, now }: { lapMs: number; now: () => number }) {
    this.#db = db;
    this.#options = options;
    this.#lapMs = lapMs;
    this.#now = now;
    this.#watcher = watchCommits(db, () => this.wake());
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
    clearTimeout(this.#timer);
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
    await this.#db.write(() =>
      this.#db.run('UPDATE messages SET holder = NULL WHERE holder = :worker', { worker }),
    );
  }

  async #fetchAll(): Promise<void> {
    while (this.#again && !this.#stopped) {
      this.#again = false;
      await this.#fetch().catch(() => this.#wakeAt(this.#now() + againMs));
    }
    this.#fetching = undefined;
  }

  async #fetch(): Promise<void> {
    const room = this.#options.prefetch - this.#inHand.size;
    if (room <= 0) return;
    const next = this.#nextVisible();
    if (next === undefined) return;
    if (next > this.#now()) return this.#wakeAt(next);
    const rows = await this.#db.write(() => this.#take(room));
    for (const row of rows) this.#inHand.add(row.seq);
    for (const row of rows) this.#options.onDelivery(this.#delivery(row));
    if (rows.length > 0) this.#again = true; // until nothing is left, or no room
  }

  #nextVisible(): number | undefined {
    return this.#db.get<{ visible_at: number }>(
      'SELECT visible_at FROM messages WHERE holder IS NULL ORDER BY visible_at, seq LIMIT 1',
    )?.visible_at;
  }

  #take(room: number): Row[] {
    this.#holdLease();
    return this.#db
      .all<Row>(
        `UPDATE messages SET holder = :worker, deliveries = deliveries + 1 WHERE seq IN (
           SELECT seq FROM messages WHERE holder IS NULL AND visible_at <= :now ORDER BY visible_at, seq LIMIT :room)
         RETURNING seq, id, machine, body, deliveries`,
        { worker: this.#options.worker, now: this.#now(), room },
      )
      .toSorted((one, two) => one.seq - two.seq); // RETURNING promises no order
  }

  /** When the lease is gone, another worker took this one for dead, and its messages went back. */
  #holdLease(): void {
    const { worker, onLost } = this.#options;
    if (renewLease(this.#db, worker, this.#now())) return;
    joinWorkers(this.#db, worker, this.#now());
    if (!this.#joined || this.#inHand.size === 0) return void (this.#joined = true);
    this.#inHand.clear();
    onLost();
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
    const settling = this.#db.write(write);
    this.#settling.add(settling);
    try {
      await settling;
    } finally {
      this.#settling.delete(settling);
      this.wake();
    }
  }

  #delete(seq: number): number {
    const { worker } = this.#options;
    return this.#db.run('DELETE FROM messages WHERE seq = :seq AND holder = :worker', { seq, worker });
  }

  #postpone(seq: number): void {
    this.#db.run(
      `UPDATE messages SET holder = NULL, deliveries = 0, visible_at = :at WHERE seq = :seq AND holder = :worker`,
      { seq, worker: this.#options.worker, at: this.#now() + this.#lapMs },
    );
  }

  #wakeAt(at: number): void {
    clearTimeout(this.#timer);
    if (!this.#stopped) this.#timer = setTimeout(() => this.wake(), Math.max(1, at - this.#now()));
  }
}
