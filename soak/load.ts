import { setTimeout as delay } from 'node:timers/promises';
import { QueueError } from '../src/queue/queue.ts';
import type { Queue } from '../src/queue/queue.ts';
import type { Counts, Ids } from './ledger.ts';

export type LoadOptions = {
  readonly queue: Queue;
  readonly ids: Ids;
  readonly accepted: Counts;
  /** Todos a second. */
  readonly rate: number;
  /** True while so many wait that no more are submitted. */
  readonly isTooMuch: () => boolean;
};

/** How often it looks at the clock, in ms. */
const tickMs = 20;

/** More than this many unconfirmed at once are not submitted: the queue is away. */
const maxUnconfirmed = 2000;

/** How long a client waits before it submits again what was not accepted, in ms. */
const againMs = 200;

/**
 * An open loop: a todo is submitted when it is due, whatever became of those before it, but for the time that is
 * held back. What is not accepted is submitted again under the same id, as a person would.
 */
export class Load {
  readonly #options: LoadOptions;
  readonly #unconfirmed = new Set<Promise<void>>();
  readonly #times: number[] = [];
  #refusals = 0;
  #accepted = 0;
  #heldMs = 0;

  constructor(options: LoadOptions) {
    this.#options = options;
  }

  get accepted(): number {
    return this.#accepted;
  }

  /** How often a submission was refused, or left in doubt. */
  get refusals(): number {
    return this.#refusals;
  }

  /** The time in which nothing was submitted because too much waited, in ms. */
  get heldMs(): number {
    return this.#heldMs;
  }

  /** When a todo was submitted first, in ms since the epoch. */
  submittedAt(index: number): number | undefined {
    return this.#times[index];
  }

  /** Submits until `signal` aborts; resolves when all that was submitted is accepted. */
  async run(signal: AbortSignal): Promise<void> {
    let last = performance.now();
    let due = 0;
    while (!signal.aborted) {
      await delay(tickMs);
      const now = performance.now();
      if (this.#options.isTooMuch() || this.#unconfirmed.size > maxUnconfirmed) this.#heldMs += now - last;
      else due += ((now - last) / 1000) * this.#options.rate;
      last = now;
      for (; due >= 1; due -= 1) this.#begin();
    }
    await Promise.all(this.#unconfirmed);
  }

  #begin(): void {
    const index = this.#times.push(Date.now()) - 1;
    const submitting = this.#submit(index).finally(() => this.#unconfirmed.delete(submitting));
    this.#unconfirmed.add(submitting);
  }

  async #submit(index: number): Promise<void> {
    const { queue, ids, accepted } = this.#options;
    const body = Buffer.from(JSON.stringify({ title: `Todo ${index}` }));
    for (;;) {
      try {
        await queue.publish({ id: ids.of(index), machine: 'create-todo@1', body });
        accepted.add(index);
        this.#accepted += 1;
        return;
      } catch (error) {
        if (!(error instanceof QueueError)) throw error;
        this.#refusals += 1;
        await delay(againMs);
      }
    }
  }
}
