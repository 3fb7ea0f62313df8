import { messageOf } from '../engine/errors.ts';
import type { WorkerStore } from '../store/store.ts';
import type { Calls } from './calls.ts';
import type { Held } from './held.ts';
import { Pruning } from './pruning.ts';
import type { PruningOptions } from './pruning.ts';

/** How long a delivery may stay in hand, in ms: well below every ack time-out of a broker. */
const holdMs = 60_000;

/** The same while every place is taken and others wait for one. */
const crowdedHoldMs = 2000;

/** How many runs beside those whose messages are in hand a worker takes up from the store at once. */
const mostTakenUp = 2000;

type UpkeepOptions = PruningOptions & {
  readonly id: string;
  readonly store: Pick<WorkerStore, 'noteOutages' | 'spare'>;
  readonly concurrency: number;
};

/** What a worker sees to at every tick. What the store does not take is tried again at the next one. */
export class Upkeep {
  readonly #options: UpkeepOptions;
  readonly #held: ReadonlyMap<string, Held>;
  readonly #calls: Pick<Calls, 'outages'>;
  readonly #pruning: Pruning;
  #noted = '[]';

  constructor(options: UpkeepOptions, held: ReadonlyMap<string, Held>, calls: Pick<Calls, 'outages'>) {
    this.#options = options;
    this.#held = held;
    this.#calls = calls;
    this.#pruning = new Pruning(options);
  }

  tick(): void {
    this.#releaseLongHeld();
    this.#pruning.tick();
    Promise.all([this.#noteOutages(), this.#spareIdle()]).catch((error: unknown) =>
      this.#options.log.debug({ error: messageOf(error) }, 'what a tick had to write could not be written'),
    );
  }

  /** How many more runs can be taken up. Those whose receiver is away keep it from nobody who can go on. */
  room(): number {
    const heldUp = this.#calls.outages().reduce((sum, { waiting }) => sum + waiting, 0);
    return mostTakenUp + this.#options.concurrency - (this.#held.size - heldUp);
  }

  stop(): Promise<void> {
    return this.#pruning.stop();
  }

  #releaseLongHeld(): void {
    const { clock, scheduler, concurrency, log } = this.#options;
    const now = clock.now();
    const elapsed = scheduler.monotonic(); // a clock that is set back must not keep a delivery in hand
    const holding = [...this.#held.values()].filter(({ deliveries }) => deliveries.length > 0);
    const inHand = holding.reduce((sum, { deliveries }) => sum + deliveries.length, 0);
    const limit = inHand >= concurrency ? crowdedHoldMs : holdMs;
    for (const held of holding)
      if (held.waitsLong(now) || held.deliveries.some(({ since }) => elapsed - since > limit))
        held.release(log);
  }

  /** For `doctor` and `inspect`. */
  async #noteOutages(): Promise<void> {
    const { store, id } = this.#options;
    const outages = this.#calls.outages();
    const text = JSON.stringify(outages);
    if (text === this.#noted) return;
    await store.noteOutages(id, outages);
    this.#noted = text;
  }

  /** A worker that dies over and over during an outage must not fail the runs that wait for its end. */
  async #spareIdle(): Promise<void> {
    const { store, id } = this.#options;
    const idle = [...this.#held.values()].filter((held) => held.isIdle());
    if (idle.length === 0) return;
    const runs = idle.map(({ run }) => run.id);
    await store.spare(id, runs);
    for (const held of idle) held.wasTakenUp = false;
  }
}
