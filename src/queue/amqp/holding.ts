import type { Channel } from 'amqplib';

/** AMQP counts a prefetch in 16 bits. */
const largestPrefetch = 65_535;

/** How long a delivery may wait in our hands, in ms: well below every ack time-out of a broker. */
export const longestHold = 300_000;

export type HoldingOptions = {
  readonly channel: Channel;
  /** How many deliveries the worker may have in hand; those that wait here are not counted. */
  readonly prefetch: number;
  /** How long a delivery waits here, in ms. */
  readonly lap: number;
  /** The channel does not do what it is told. */
  readonly onFailure: (error: Error) => void;
};

/**
 * Deliveries that wait for their lap in our hands, unacked: a broker whose queues are classic would lose some of
 * them on their way if it were killed. The limit of the channel moves with them, so that they take nobody's place.
 */
export class Holding {
  readonly #options: HoldingOptions;
  readonly #timers = new Set<NodeJS.Timeout>();
  #isAsking = false;

  constructor(options: HoldingOptions) {
    this.#options = options;
    options.channel.once('close', () => this.#forget());
  }

  /** Only a limit of the whole channel can be moved later. Quorum queues refuse one, classic queues know it. */
  async open(): Promise<void> {
    const { channel, prefetch } = this.#options;
    await channel.prefetch(Math.min(prefetch + this.#timers.size, largestPrefetch), true);
  }

  /** `giveBack` is called when the lap is over, unless the channel has ended. */
  hold(giveBack: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      giveBack();
      this.#move();
    }, this.#options.lap);
    this.#timers.add(timer);
    this.#move();
  }

  /** Once for all that come and go in the same moment. */
  #move(): void {
    if (this.#isAsking) return;
    this.#isAsking = true;
    setImmediate(() => {
      this.#isAsking = false;
      this.open().catch(this.#options.onFailure);
    });
  }

  #forget(): void {
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
  }
}
