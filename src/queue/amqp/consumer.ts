import type { Channel, ConsumeMessage } from 'amqplib';
import { toAmqpError } from '../../amqp/error.ts';
import { guard, Link } from '../../amqp/link.ts';
import type { LinkOptions, Session } from '../../amqp/link.ts';
import { declare } from '../../amqp/topology.ts';
import type { Topology } from '../../amqp/topology.ts';
import { within } from '../../amqp/within.ts';
import type { Consumer, ConsumerOptions, Delivery } from '../queue.ts';
import { fromAmqp } from './message.ts';

export type Source = Pick<LinkOptions<Inlet>, 'address' | 'tls' | 'log'> & {
  readonly topology: Topology;
  /** How often everything is declared again, in ms. */
  readonly upkeep: number;
  /** Resolves when the message is safe among the dead letters. */
  readonly bury: (message: ConsumeMessage, error: string) => Promise<void>;
};

/** One channel that consumes. Once it is void, the tags of its deliveries mean nothing to any other channel. */
export type Inlet = {
  readonly session: Session;
  readonly channel: Channel;
  void: boolean;
  settledAt: number;
};

const cancelTimeout = 5_000;
const flushTime = 100;

/** Consumes on a connection of its own, and builds it again whenever anything of it dies. */
export class AmqpConsumer implements Consumer {
  readonly #source: Source;
  readonly #options: ConsumerOptions;
  readonly #link: Link<Inlet>;
  readonly #burials = new Set<Promise<void>>();
  #inlet: Inlet | undefined;
  #stopping: Promise<void> | undefined;
  #closing: Promise<void> | undefined;

  constructor(source: Source, options: ConsumerOptions) {
    this.#source = source;
    this.#options = options;
    this.#link = new Link({
      ...source,
      name: `holdfast worker ${options.worker}`,
      setup: (session) => this.#subscribe(session),
      farewell: flush,
    });
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#cancel();
    return this.#stopping;
  }

  /** Flushes the settlements; what is not settled goes back to the queue. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    await this.stop();
    await Promise.allSettled(this.#burials);
    await this.#link.close();
  }

  async #subscribe(session: Session): Promise<Inlet> {
    await declare(session.model, this.#source.topology);
    const channel = guard(session, await session.model.createChannel());
    const inlet: Inlet = { session, channel, void: false, settledAt: -Infinity };
    channel.once('close', () => this.#lose(inlet));
    this.#inlet = inlet;
    await channel.prefetch(this.#options.prefetch);
    // From here on `stop` can cancel it: a channel performs one operation after the other.
    if (!this.#stopping) await this.#consume(inlet);
    this.#keepUp(inlet);
    return inlet;
  }

  /** Nobody tells us of a queue that is deleted, but for the one that we consume; a delivery would wait for ever. */
  #keepUp(inlet: Inlet): void {
    const { topology, upkeep, address, log } = this.#source;
    let said = '';
    const look = async () => {
      const { message } = await declare(inlet.session.model, topology).then(
        () => ({ message: '' }),
        (error: unknown) => toAmqpError(error, address.name),
      );
      if (message !== said && message !== '' && !inlet.void) log.warn({ broker: address.name }, message);
      said = message;
    };
    const timer = setInterval(() => void look(), upkeep);
    inlet.channel.once('close', () => clearInterval(timer));
  }

  async #consume(inlet: Inlet): Promise<void> {
    const receive = (message: ConsumeMessage | null) => {
      if (message) return this.#deliver(inlet, message);
      // The queue was deleted, or a 4.x broker ran out of patience with an unacked delivery.
      this.#lose(inlet);
      inlet.session.drop(new Error('the broker cancelled the consumer'));
    };
    await inlet.channel.consume(this.#source.topology.runs, receive, { consumerTag: this.#options.worker });
  }

  #deliver(inlet: Inlet, message: ConsumeMessage): void {
    if (inlet.void) return;
    const delivery = toDelivery(inlet, message, this.#source.bury);
    this.#options.onDelivery({
      ...delivery,
      deadLetter: (error) => this.#follow(delivery.deadLetter(error)),
    });
  }

  async #follow(burial: Promise<void>): Promise<void> {
    this.#burials.add(burial);
    try {
      await burial;
    } finally {
      this.#burials.delete(burial);
    }
  }

  #lose(inlet: Inlet): void {
    if (inlet.void) return;
    inlet.void = true;
    if (!this.#closing) this.#options.onLost();
  }

  async #cancel(): Promise<void> {
    const inlet = this.#inlet;
    if (!inlet || inlet.void) return;
    try {
      await within(cancelTimeout, inlet.channel.cancel(this.#options.worker), noAnswer);
    } catch {
      this.#lose(inlet); // so that nothing is delivered any more
      inlet.session.drop(noAnswer());
    }
  }
}

/**
 * A connection that closes right after acks overtakes them, and a channel loses all but 33 of them: so many a
 * quorum queue takes at once, the rest waits in the channel (3.10: 17 of 50, up to 967 of 1000). After a rest of
 * 100 ms none was lost in 32 runs. What is lost all the same comes again, to a run that is final.
 */
const flush = async ({ channel, settledAt }: Inlet): Promise<void> => {
  const rest = settledAt + flushTime - performance.now();
  await new Promise((resolve) => setTimeout(resolve, Math.max(0, rest)));
  await channel.close();
};

const noAnswer = () => new Error('the broker did not answer when the consumer stopped');

const toDelivery = (inlet: Inlet, message: ConsumeMessage, bury: Source['bury']): Delivery => {
  let settled = false;
  const isFirst = () => {
    if (settled || inlet.void) return false;
    settled = true;
    return true;
  };
  const ack = () => settle(inlet, () => inlet.channel.ack(message));
  const later = () => settle(inlet, () => inlet.channel.nack(message, false, false));
  return {
    message: fromAmqp(message),
    redelivered: message.fields.redelivered,
    ack: () => void (isFirst() && ack()),
    later: () => void (isFirst() && later()),
    deadLetter: async (error) => {
      if (!isFirst()) return;
      try {
        await bury(message, error);
      } catch (failure) {
        later();
        throw failure;
      }
      ack();
    },
  };
};

/** On a channel that has just died, amqplib throws; the broker hands the message out again by itself. */
const settle = (inlet: Inlet, send: () => void): void => {
  if (inlet.void) return;
  inlet.settledAt = performance.now();
  try {
    send();
  } catch (error) {
    inlet.session.drop(error instanceof Error ? error : new Error(String(error)));
  }
};
