import type { Channel, ConsumeMessage } from 'amqplib';
import type { Declaration } from '../../amqp/declaration.ts';
import type { Session } from '../../amqp/link.ts';
import type { QueueKind } from '../../amqp/topology.ts';
import type { ConsumerOptions, Delivery } from '../queue.ts';
import { Acks } from './acks.ts';
import { Holding, longestHold } from './holding.ts';
import { fromAmqp } from './message.ts';

export type InletOptions = Pick<ConsumerOptions, 'onDelivery' | 'onLost' | 'prefetch'> & {
  readonly declaration: Declaration;
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
  readonly #acks = new Acks((message, allUpTo) => this.#settle(() => this.channel.ack(message, allUpTo)));
  /** Where deliveries wait when the queues are classic. */
  readonly #holding: Holding | undefined;
  /** Messages that were given back to come again: that they do says nothing of who holds their run. */
  readonly #givenBack = new Set<string>();
  #kind: QueueKind | undefined;
  #void = false;

  constructor(session: Session, channel: Channel, options: InletOptions) {
    this.session = session;
    this.channel = channel;
    this.#options = options;
    this.#kind = options.declaration.kind;
    if (this.#kind === 'classic') this.#holding = this.#hold();
    channel.once('close', () => this.lose());
  }

  get isVoid(): boolean {
    return this.#void;
  }

  /** What its queues are, as far as it is known. */
  get kind(): QueueKind | undefined {
    return this.#kind;
  }

  /** Before it consumes. */
  async limit(): Promise<void> {
    if (this.#holding) await this.#holding.open();
    else await this.channel.prefetch(this.#options.prefetch);
  }

  async consume(tag: string): Promise<void> {
    const receive = (message: ConsumeMessage | null) => {
      if (message) return this.#deliver(message);
      // The queue was deleted, or a 4.x broker ran out of patience with an unacked delivery.
      this.lose();
      this.session.drop(new Error('the broker cancelled the consumer'));
    };
    await this.channel.consume(this.#options.declaration.topology.runs, receive, { consumerTag: tag });
  }

  /** What it handed out is void; the broker hands it out again by itself. */
  lose(): void {
    if (this.#void) return;
    this.#void = true;
    this.#options.onLost();
  }

  #hold(): Holding {
    const { declaration, prefetch } = this.#options;
    const lap = Math.min(declaration.topology.lap, longestHold);
    const onFailure = (error: Error) => this.session.drop(error);
    return new Holding({ channel: this.channel, prefetch, lap, onFailure });
  }

  #deliver(message: ConsumeMessage): void {
    if (this.#void || this.#learnsOfClassic(message)) return;
    this.#options.onDelivery(this.#delivery(message));
  }

  /** A user who may not declare learns it here. Then the channel is built again, with a limit that can be moved. */
  #learnsOfClassic(message: ConsumeMessage): boolean {
    const told = this.#kind ? undefined : kindToldBy(message);
    if (!told) return false;
    const { declaration } = this.#options;
    declaration.learn(declaration.topology.runs, told);
    this.#kind = told;
    if (told === 'quorum') return false;
    this.lose();
    this.session.drop(new Error('its queues are classic ones'));
    return true;
  }

  #delivery(message: ConsumeMessage): Delivery {
    let settled = false;
    const isFirst = () => {
      if (settled || this.#void) return false;
      settled = true;
      return true;
    };
    this.#acks.take(message);
    const ack = () => this.#acks.ack(message);
    const later = () => this.#later(message);
    return {
      message: fromAmqp(message),
      redelivered: message.fields.redelivered && !this.#givenBack.delete(idOf(message)),
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

  /**
   * A quorum queue brings it round by `waiting`. A classic one might lose it there, so it stays in our hands. Where
   * the kind is not known, it goes back to come again at once: then it tells.
   */
  #later(message: ConsumeMessage): void {
    if (this.#kind === 'quorum') return this.#nack(message, false);
    const held = { ...message, content: Buffer.alloc(0) }; // many may wait
    this.#acks.take(held);
    const giveBack = () => {
      this.#givenBack.add(idOf(held));
      this.#nack(held, true);
    };
    return this.#holding ? this.#holding.hold(giveBack) : giveBack();
  }

  #nack(message: ConsumeMessage, requeue: boolean): void {
    this.#acks.drop(message);
    this.#settle(() => this.channel.nack(message, false, requeue));
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

/**
 * What a message tells of the queue that it came from, once it comes again: a quorum queue counts how often.
 * Nothing when it comes for the first time.
 */
const kindToldBy = ({ fields, properties }: ConsumeMessage): QueueKind | undefined => {
  if (!fields.redelivered) return undefined;
  const { headers = {} } = properties;
  return 'x-delivery-count' in headers || 'x-acquired-count' in headers ? 'quorum' : 'classic';
};

const idOf = ({ properties }: ConsumeMessage): string => String(properties.messageId);
