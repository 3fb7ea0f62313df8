import { messageOf } from '../engine/errors.ts';
import { isGone, suspectAfter } from '../store/store.ts';
import type { Resumed, WorkerStore } from '../store/store.ts';
import type { Log } from './log.ts';
import { pause } from './scheduler.ts';
import type { Scheduler } from './scheduler.ts';

/** How often the lease is renewed and dead workers are looked for, in ms. */
const tickMs = 1000;

/** The least time between two looks at a store that changes all the time, in ms. */
const leastGapMs = 50;

/** Runs are resumed in pages, so that the first ones go on while the others are still read. */
const pageSize = 500;

export type TenureOptions = {
  readonly store: WorkerStore;
  readonly worker: string;
  readonly refs: readonly string[];
  readonly log: Log;
  readonly scheduler: Scheduler;
  readonly onResumed: (resumed: Resumed) => void;
  readonly onEvicted: (run: string) => void;
  readonly onLost: () => void;
  /** The store is gone for good. */
  readonly onGone: (error: unknown) => void;
  readonly onTick: () => void;
  /** How many more runs the worker can take up now. */
  readonly room: () => number;
  /** Resolves when the worker has dealt with what was resumed. */
  readonly settled: () => Promise<void>;
};

/** A worker's claim on its runs: the lease, and the search for runs that nobody holds. */
export class Tenure {
  readonly #options: TenureOptions;
  #renewedAt = -Infinity;
  #tickedAt = -Infinity;
  #fails = false;
  #suspect: string | undefined;
  /** There may be more to take up than there was room for. */
  #isFull = false;
  #wake = Promise.withResolvers<void>();
  #watching: Promise<void> | undefined;
  #stopped = false;

  constructor(options: TenureOptions) {
    this.#options = options;
  }

  /** @throws when the store cannot be used. */
  async begin(): Promise<void> {
    const { store, worker } = this.#options;
    await store.join(worker);
    await this.#look();
    this.#watching = this.#watch();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#wake.resolve();
    await this.#watching;
  }

  /** A run has come further: if it was the suspect, the next one's turn has come. */
  moved(run: string): void {
    if (run !== this.#suspect) return;
    this.#suspect = undefined;
    this.#wake.resolve();
  }

  /** Runs have ended: where there were more of them, the worker need not wait for a tick. */
  roomMade(): void {
    if (this.#isFull && this.#options.room() >= pageSize) this.#wake.resolve();
  }

  /** Looks at every tick, and sooner when another process gave a run back or a person put one to a step. */
  async #watch(): Promise<void> {
    const watcher = this.#options.store.watch(() => this.#wake.resolve());
    while (!this.#stopped) {
      await this.#nextLook();
      this.#tick();
      if (!this.#stopped) await this.#look().catch((error: unknown) => this.#complain(error));
    }
    watcher.close();
  }

  async #nextLook(): Promise<void> {
    const { scheduler } = this.#options;
    const cancelTick = scheduler.after(tickMs, () => this.#wake.resolve());
    await this.#wake.promise;
    cancelTick();
    this.#wake = Promise.withResolvers();
    if (!this.#stopped) await pause(scheduler, leastGapMs);
  }

  /** However often others change the store: whoever hears it goes through all that is in hand. */
  #tick(): void {
    const now = this.#options.scheduler.monotonic();
    if (now - this.#tickedAt < tickMs / 2) return;
    this.#tickedAt = now;
    this.#options.onTick();
  }

  async #look(): Promise<void> {
    if (this.#options.scheduler.monotonic() - this.#renewedAt > tickMs / 2) await this.#renew();
    await this.#resume();
    this.#fails = false;
  }

  async #renew(): Promise<void> {
    const { store, worker, scheduler, onEvicted, onLost, settled } = this.#options;
    const { held, evicted } = await store.renew(worker);
    this.#renewedAt = scheduler.monotonic();
    if (!held) {
      onLost();
      await store.join(worker);
    }
    for (const run of evicted) onEvicted(run);
    if (evicted.length > 0) await settled();
  }

  async #resume(): Promise<void> {
    const { store, worker, refs, log, onResumed, room, settled } = this.#options;
    for (let page = pageSize; page === pageSize && !this.#stopped;) {
      this.#isFull = room() < pageSize;
      if (this.#isFull) return;
      const resumed = await store.resume(worker, refs, pageSize);
      // Suspects come one at a time: the next one need not wait for a tick, but for this one's transition.
      this.#suspect = resumed.find(({ resumes }) => resumes > suspectAfter)?.run.id ?? this.#suspect;
      for (const run of resumed) onResumed(run);
      page = resumed.length;
      if (page === 0) return;
      log.info({ runs: page }, 'resumed unfinished runs');
      await settled();
    }
  }

  #complain(error: unknown): void {
    if (isGone(error)) return this.#options.onGone(error);
    if (!this.#fails)
      this.#options.log.warn({ error: messageOf(error) }, 'the lease could not be renewed; trying again');
    this.#fails = true;
  }
}
