import type { Database } from 'better-sqlite3';

/** What became of a message: `effect` took place now, or it had done so before. */
export type Once<T> = { readonly type: 'done'; readonly result: T } | { readonly type: 'repeat' };

/**
 * Lets each message take effect once. Alerts come at least once, and a repeat has the message id of the first; so a
 * consumer marks the ids that it has dealt with, in a table of its own SQLite file. Ack after the promise or the call
 * is back, never before.
 */
export class DedupeGuard {
  readonly #db: Database;
  readonly #now: () => number;
  /** Effects elsewhere that are under way, by message id. */
  readonly #underWay = new Map<string, Promise<unknown>>();

  /** Makes its table where there is none, and has the connection sync each commit: an ack must not outlive its mark. */
  constructor(db: Database, now: () => number = Date.now) {
    this.#db = db;
    this.#now = now;
    db.pragma('synchronous = FULL');
    db.exec(
      'CREATE TABLE IF NOT EXISTS dealt_with (message_id TEXT PRIMARY KEY, at INTEGER NOT NULL) STRICT, WITHOUT ROWID',
    );
  }

  /**
   * For an effect in the same file, written through the same connection: exactly once, because effect and mark are
   * one transaction. What `effect` throws undoes both. It must not be asynchronous.
   */
  once<T>(messageId: string, effect: () => T): Once<T> {
    const work = this.#db.transaction((): Once<T> => {
      if (!this.#mark(messageId)) return { type: 'repeat' };
      const result = effect();
      if (result instanceof Promise) throw new TypeError('an effect in the same file is not asynchronous');
      return { type: 'done', result };
    });
    return work.immediate();
  }

  /**
   * For an effect elsewhere: at least once. The mark comes after the effect, so a crash between the two repeats it;
   * pass the message id on as its idempotency key. Repeats that come while it is under way wait for it.
   */
  async onceElsewhere<T>(messageId: string, effect: () => Promise<T>): Promise<Once<T>> {
    await this.#underWay.get(messageId)?.catch(() => {});
    if (this.#isMarked(messageId)) return { type: 'repeat' };
    const again = this.#underWay.get(messageId);
    if (again) return this.onceElsewhere(messageId, effect);
    const running = effect();
    this.#underWay.set(messageId, running);
    try {
      const result = await running;
      this.#mark(messageId);
      return { type: 'done', result };
    } finally {
      this.#underWay.delete(messageId);
    }
  }

  /** Forgets marks older than `before` (ms since the epoch), and returns how many. A later repeat takes effect again. */
  forget(before: number): number {
    return this.#db.prepare('DELETE FROM dealt_with WHERE at < ?').run(before).changes;
  }

  #isMarked(messageId: string): boolean {
    return this.#db.prepare('SELECT 1 FROM dealt_with WHERE message_id = ?').get(messageId) !== undefined;
  }

  /** False when it was marked before. */
  #mark(messageId: string): boolean {
    const sql = 'INSERT INTO dealt_with (message_id, at) VALUES (?, ?) ON CONFLICT DO NOTHING';
    return this.#db.prepare(sql).run(messageId, this.#now()).changes === 1;
  }
}
