import type { Declaration } from '../../amqp/declaration.ts';
import { AmqpError, toAmqpError } from '../../amqp/error.ts';
import { guard, Link } from '../../amqp/link.ts';
import type { LinkOptions, Session } from '../../amqp/link.ts';
import { within } from '../../amqp/within.ts';
import type { Consumer, ConsumerOptions, Delivery } from '../queue.ts';
import { Inlet } from './inlet.ts';
import type { InletOptions } from './inlet.ts';

export type Source = Pick<LinkOptions<Inlet>, 'address' | 'tls' | 'log'> &
  Pick<InletOptions, 'bury'> & {
    readonly declaration: Declaration;
    /** How often everything is declared again, in ms. */
    readonly upkeep: number;
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
  #hasTold = false;
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
    const { declaration, bury } = this.#source;
    await declaration.on(session.model);
    if (declaration.isMixed) throw mixed(declaration);
    const channel = guard(session, await session.model.createChannel());
    const inlet = new Inlet(session, channel, {
      declaration,
      prefetch: this.#options.prefetch,
      bury,
      onDelivery: (delivery) => this.#deliver(delivery),
      onLost: () => this.#lost(),
    });
    this.#inlet = inlet;
    if (inlet.kind === 'classic') this.#tellOfClassic();
    await inlet.limit();
    // From here on `stop` can cancel it: a channel performs one operation after the other.
    if (!this.#stopping) await inlet.consume(this.#options.worker);
    this.#keepUp(inlet);
    return inlet;
  }

  /** Once, and not at every connection. */
  #tellOfClassic(): void {
    if (this.#hasTold) return;
    this.#hasTold = true;
    const { log, address, declaration } = this.#source;
    log.warn(
      { broker: address.name, queues: declaration.classic },
      'classic queues: messages that wait stay in the hands of this worker, and "holdfast doctor" says how to get quorum queues',
    );
  }

  /** Nobody tells us of a queue that is deleted, but for the one that we consume; a delivery would wait for ever. */
  #keepUp(inlet: Inlet): void {
    const { declaration, upkeep, address, log } = this.#source;
    let said = '';
    const look = async () => {
      const { message } = await declaration.on(inlet.session.model).then(
        () => ({ message: '' }),
        (error: unknown) => toAmqpError(error, address.name),
      );
      if (message !== said && message !== '' && !inlet.isVoid) log.warn({ broker: address.name }, message);
      said = message;
      if (declaration.kind !== inlet.kind || declaration.isMixed)
        inlet.session.drop(new Error('its queues are of another kind now'));
    };
    const timer = setInterval(() => void look(), upkeep);
    inlet.channel.once('close', () => clearInterval(timer));
  }

  #deliver(delivery: Delivery): void {
    this.#options.onDelivery({
      ...delivery,
      deadLetter: (error) => this.#follow(delivery.deadLetter(error)),
    });
  }

  #lost(): void {
    if (!this.#closing) this.#options.onLost();
  }

  async #follow(burial: Promise<void>): Promise<void> {
    this.#burials.add(burial);
    try {
      await burial;
    } finally {
      this.#burials.delete(burial);
    }
  }

  async #cancel(): Promise<void> {
    const inlet = this.#inlet;
    if (!inlet || inlet.isVoid) return;
    try {
      await within(cancelTimeout, inlet.channel.cancel(this.#options.worker), noAnswer);
    } catch {
      inlet.lose(); // so that nothing is delivered any more
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

const mixed = ({ topology: { runs, waiting } }: Declaration): AmqpError =>
  new AmqpError(
    'refused',
    `${waiting} is a classic queue and ${runs} a quorum queue: delete ${waiting} once it is empty, and it is made again as it must be`,
  );

const noAnswer = () => new Error('the broker did not answer when the consumer stopped');
