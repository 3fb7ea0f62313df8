import { messageOf } from '../engine/errors.ts';
import type { WorkerStore } from '../store/store.ts';
import type { Calls } from './calls.ts';
import type { Log } from './log.ts';

type OutagesOptions = {
  readonly store: Pick<WorkerStore, 'noteOutages'>;
  readonly worker: string;
  readonly calls: Pick<Calls, 'outages'>;
  readonly log: Log;
};

/** Keeps what the store says of receivers that are away as it is, for `doctor` and `inspect`. */
export class Outages {
  readonly #options: OutagesOptions;
  #noted = '[]';

  constructor(options: OutagesOptions) {
    this.#options = options;
  }

  /** Writes only what has changed; what cannot be written is tried again at the next tick. */
  async note(): Promise<void> {
    const { store, worker, calls, log } = this.#options;
    const outages = calls.outages();
    const text = JSON.stringify(outages);
    if (text === this.#noted) return;
    try {
      await store.noteOutages(worker, outages);
      this.#noted = text;
    } catch (error) {
      log.debug({ error: messageOf(error) }, 'the outages could not be noted');
    }
  }
}
