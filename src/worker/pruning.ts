import { messageOf } from '../engine/errors.ts';
import type { Clock, FinalStatus } from '../engine/run.ts';
import type { Queue } from '../queue/queue.ts';
import type { WorkerStore } from '../store/store.ts';
import type { Log } from './log.ts';
import { pause } from './scheduler.ts';
import type { Scheduler } from './scheduler.ts';

/** A failed run is kept until a person has seen it. */
const pruned: readonly FinalStatus[] = ['done', 'cancelled'];

/** Forgetting a hundred runs takes one to two ms, in which nothing else is done. */
const batchSize = 100;

/** Between two batches, in ms. */
const gapMs = 50;

/** Then the queue is asked again. */
const batchesInARow = 20;

/** How long nothing is looked for after nothing was left, in ms. */
const restMs = 60_000;

export type PruningOptions = {
  readonly store: Pick<WorkerStore, 'prune'>;
  readonly queue: Pick<Queue, 'depth'>;
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  readonly log: Log;
  readonly keep: number;
};

/**
 * Forgets runs that became final more than `keep` ms ago, a few at a time. Only while no message is ready: one of them
 * might be of such a run, and would begin it anew. What is not ready comes within a lap; `keep` is longer than that.
 */
export class Pruning {
  readonly #options: PruningOptions;
  #dueAt = -Infinity;
  #isBusy = false;
  #forgetting: Promise<void> | undefined;
  #isStopped = false;

  constructor(options: PruningOptions) {
    this.#options = options;
  }

  /** What could not be done is tried at the next tick. */
  tick(): void {
    const { keep, scheduler, log } = this.#options;
    if (keep === Infinity || this.#isBusy || scheduler.monotonic() < this.#dueAt) return;
    this.#isBusy = true;
    this.#prune()
      .catch((error: unknown) => log.debug({ error: messageOf(error) }, 'old runs could not be pruned'))
      .finally(() => (this.#isBusy = false));
  }

  /** Nothing is asked of the store after this resolves; a queue that does not answer is not waited for. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#forgetting?.catch(() => {}); // `tick` has said it
  }

  async #prune(): Promise<void> {
    const { ready } = await this.#options.queue.depth();
    if (ready > 0) return;
    this.#forgetting = this.#forget();
    await this.#forgetting;
  }

  async #forget(): Promise<void> {
    const { store, clock, scheduler, log, keep } = this.#options;
    let runs = 0;
    for (let batch = 0; batch < batchesInARow && !this.#isStopped; batch++) {
      await pause(scheduler, gapMs); // the first one for the turn that has the last message
      const count = await store.prune({ before: clock.now() - keep, statuses: pruned }, batchSize);
      runs += count;
      if (count === batchSize) continue;
      this.#dueAt = scheduler.monotonic() + restMs;
      break;
    }
    if (runs > 0) log.debug({ runs }, 'old runs pruned');
  }
}
