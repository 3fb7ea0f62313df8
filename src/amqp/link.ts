import { connect } from 'amqplib';
import type { Channel, ChannelModel, RecoveringChannelModel } from 'amqplib';
import { AmqpError, textOf, toAmqpError } from './error.ts';
import type { Address } from './url.ts';
import { within } from './within.ts';

/** Where a link tells of its life; pino fits. */
export type Log = Record<'info' | 'warn' | 'error', (details: object, message: string) => void>;

/** Certificates as PEM. Host names and certificates are always verified. */
export type Tls = { readonly ca?: Buffer; readonly cert?: Buffer; readonly key?: Buffer };

/** One connection, from its handshake to its end. */
export type Session = {
  readonly model: ChannelModel;
  /** Ends this connection, so that the link builds another one. */
  drop(reason: Error): void;
};

export type LinkOptions<T> = {
  readonly address: Address;
  /** What RabbitMQ shows in its list of connections. */
  readonly name: string;
  readonly tls?: Tls | undefined;
  readonly log: Log;
  /** Builds on each new connection what the link is for. When it rejects, the connection is tried again. */
  readonly setup: (session: Session) => Promise<T>;
  /** What must happen on a working connection before it is closed on purpose. */
  readonly farewell?: (built: T) => Promise<unknown>;
};

const connectTimeout = 10_000;
const closeTimeout = 2_000;
const backoff = { initialDelay: 200, maxDelay: 5_000 };
const noop = () => {};

/** A connection that comes back by itself, for ever, until it is closed. */
export class Link<T> {
  readonly #options: LinkOptions<T>;
  readonly #recovering: Promise<RecoveringChannelModel>;
  #usable = pending<T>();
  #current: T | undefined;
  #problem: AmqpError | undefined;
  #dropped: Error | undefined;
  #closing: Promise<void> | undefined;

  constructor(options: LinkOptions<T>) {
    this.#options = options;
    this.#recovering = this.#open();
  }

  /**
   * What `setup` built on the connection of this moment; waits for one up to `patience` ms.
   * @throws AmqpError `refused` at once when the broker does not let us in, else `unavailable`
   */
  async ready(patience: number, signal?: AbortSignal): Promise<T> {
    if (this.#current) return this.#current;
    if (this.#closing) throw closed();
    if (this.#problem?.kind === 'refused') throw this.#problem;
    return within(patience, this.#usable.promise, () => this.#problem ?? this.#silence(patience), signal);
  }

  /** Ends the connection for good. Safe to call twice. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #open(): Promise<RecoveringChannelModel> {
    const { address, name, tls } = this.#options;
    const recovering = await connect(address.options, {
      ...tls,
      timeout: connectTimeout,
      noDelay: true, // amqplib leaves Nagle on: 20 ms more for every confirm
      clientProperties: { connection_name: name },
      recovery: { ...backoff, waitForConnect: false, setup: (model: ChannelModel) => this.#build(model) },
    });
    recovering.on('error', noop); // 'disconnect' follows and brings the same error
    recovering.on('disconnect', (error) => this.#lost(error));
    recovering.on('connect-failed', (error) => this.#fail(toAmqpError(error, address.name)));
    return recovering;
  }

  async #build(model: ChannelModel): Promise<void> {
    model.on('error', noop); // unheard, a cut during `setup` would be an uncaught exception
    const gone = Promise.withResolvers<never>();
    gone.promise.catch(noop);
    model.once('close', (error) => {
      this.#unusable();
      gone.reject(error ?? this.#dropped ?? new Error('the connection was closed'));
    });
    this.#dropped = undefined;
    try {
      // Recovery does not see a connection that ends while it waits for `setup`.
      const built = await Promise.race([this.#options.setup(this.#session(model)), gone.promise]);
      this.#follow(model, built);
    } catch (error) {
      await end(model); // recovery would wait for a silent broker without a limit
      throw error;
    }
  }

  #session(model: ChannelModel): Session {
    return {
      model,
      drop: (reason) => {
        if (this.#closing) return;
        this.#dropped ??= reason;
        void end(model);
      },
    };
  }

  /** A blocked connection takes no more publishes: the broker is short of memory or disk. */
  #follow(model: ChannelModel, built: T): void {
    model.on('blocked', (reason) => {
      this.#unusable();
      this.#fail(blocked(this.#options.address.name, reason));
    });
    model.on('unblocked', () => this.#work(built, 'RabbitMQ takes messages again'));
    this.#work(built, 'connected to RabbitMQ');
  }

  #work(built: T, news: string): void {
    this.#current = built;
    this.#problem = undefined;
    this.#usable.resolve(built);
    this.#options.log.info({ broker: this.#options.address.name }, news);
  }

  #lost(error: Error): void {
    const reason = this.#dropped ?? error;
    const text = `the connection to ${this.#options.address.name} was lost (${textOf(reason)})`;
    this.#fail(new AmqpError('unavailable', text, { cause: reason }));
  }

  /** One line a problem, however often it comes back. */
  #fail(problem: AmqpError): void {
    const { log, address } = this.#options;
    const isNews = problem.message !== this.#problem?.message;
    this.#problem = problem;
    if (isNews) log[problem.kind === 'refused' ? 'error' : 'warn']({ broker: address.name }, problem.message);
    if (problem.kind !== 'refused') return;
    this.#usable.reject(problem);
    this.#usable = pending();
  }

  /** Those who wait already go on waiting. */
  #unusable(): void {
    if (this.#current === undefined) return;
    this.#current = undefined;
    this.#usable = pending();
  }

  async #close(): Promise<void> {
    const recovering = await this.#recovering;
    const built = this.#current;
    if (built && this.#options.farewell) {
      await within(closeTimeout, this.#options.farewell(built), closed).catch(noop);
    }
    this.#unusable();
    this.#usable.reject(closed());
    await within(closeTimeout, recovering.close(), closed).catch(noop);
  }

  #silence(patience: number): AmqpError {
    return new AmqpError(
      'unavailable',
      `RabbitMQ at ${this.#options.address.name} did not answer within ${patience} ms: see that it runs, then try again`,
    );
  }
}

/** For those who wait; there may be none when it rejects. */
const pending = <T>(): PromiseWithResolvers<T> => {
  const resolvers = Promise.withResolvers<T>();
  resolvers.promise.catch(noop);
  return resolvers;
};

/** The death of a channel does not trigger recovery: it takes its connection down with it. */
export const guard = <C extends Channel>(session: Session, channel: C): C => {
  let reason = new Error('the channel was closed');
  channel.on('error', (error) => {
    reason = error;
  });
  channel.once('close', () => session.drop(reason));
  return channel;
};

/** A channel of its own for one task. What the task took and did not ack goes back to its queue. */
export const withChannel = async <R>(
  model: ChannelModel,
  task: (channel: Channel) => Promise<R>,
): Promise<R> => {
  const channel = await model.createChannel();
  channel.on('error', noop); // the operation that caused it rejects
  try {
    return await task(channel);
  } finally {
    await channel.close().catch(noop);
  }
};

/** A broker that does not answer would keep `close` waiting for ever. */
const end = (model: ChannelModel): Promise<void> => within(closeTimeout, model.close(), closed).catch(noop);

const closed = (): AmqpError => new AmqpError('unavailable', 'the connection to RabbitMQ is closed');

const blocked = (where: string, reason: string): AmqpError =>
  new AmqpError(
    'unavailable',
    `RabbitMQ at ${where} takes no messages (${reason}): free memory or disk there, then try again`,
  );
