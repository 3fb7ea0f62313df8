import type { Channel, ConsumeMessage } from 'amqplib';
import type { Session } from '../../amqp/link.ts';
import type { ConsumerOptions, Delivery } from '../queue.ts';
import { fromAmqp } from './message.ts';

export type InletOptions = Pick<ConsumerOptions, 'onDelivery' | 'onLost'> & {
  /** Resolves when the message is safe among the dead letters. */
  readonly bury: (message: ConsumeMessage, error: string) => Promise<void>;
};

/**
 * One channel that consumes, from its opening to its end. Once it is void, the tags of its deliveries mean
 * nothing to any other channel.
 */
export class Inlet {
  readonly session: Session;
  readonly channel: Channel;
  /** When it last settled a delivery, in ms of `performance.now`. */
  settledAt = -Infinity;
  readonly #options: InletOptions;
  #void = false;

  constructor(session: Session, channel: Channel, options: InletOptions) {
    this.session = session;
    this.channel = channel;
    this.#options = options;
    channel.once('close', () => this.lose());
  }

  get isVoid(): boolean {
    return this.#void;
  }

  async consume(queue: string, tag: string): Promise<void> {
    const receive = (message: ConsumeMessage | null) => {
      if (message) return this.#deliver(message);
      // The queue was deleted, or a 4.x broker ran out of patience with an unacked delivery.
      this.lose();
      this.session.drop(new Error('the broker cancelled the consumer'));
    };
    await this.channel.consume(queue, receive, { consumerTag: tag });
  }

  /** What it handed out is void; the broker hands it out again by itself. */
  lose(): void {
    if (this.#void) return;
    this.#void = true;
    this.#options.onLost();
  }

  #deliver(message: ConsumeMessage): void {
    if (!this.#void) this.#options.onDelivery(this.#delivery(message));
  }

  #delivery(message: ConsumeMessage): Delivery {
    let settled = false;
    const isFirst = () => {
      if (settled || this.#void) return false;
      settled = true;
      return true;
    };
    const ack = () => this.#settle(() => this.channel.ack(message));
    const later = () => this.#settle(() => this.channel.nack(message, false, false));
    return {
      message: fromAmqp(message),
      redelivered: message.fields.redelivered,
      ack: () => void (isFirst() && ack()),
      later: () => void (isFirst() && later()),
      deadLetter: async (error) => {
        if (!isFirst()) return;
        try {
          await this.#options.bury(message, error);
        } catch (failure) {
          later();
          throw failure;
        }
        ack();
      },
    };
  }

  /** On a channel that has just died, amqplib throws; the broker hands the message out again by itself. */
  #settle(send: () => void): void {
    if (this.#void) return;
    this.settledAt = performance.now();
    try {
      send();
    } catch (error) {
      this.session.drop(error instanceof Error ? error : new Error(String(error)));
    }
  }
}
