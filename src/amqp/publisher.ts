import type { Channel } from 'amqplib';
import type { Declaration } from './declaration.ts';
import { AmqpError, toAmqpError } from './error.ts';
import { guard, Link, withChannel } from './link.ts';
import type { Log, Tls } from './link.ts';
import { Outlet, UnroutableError } from './outlet.ts';
import type { Outgoing } from './outlet.ts';
import type { Address } from './url.ts';
import { within } from './within.ts';

export type PublisherOptions = {
  readonly address: Address;
  readonly declaration: Declaration;
  readonly log: Log;
  readonly tls?: Tls | undefined;
  /** How long a confirm may take, in ms. */
  readonly confirmTimeout?: number | undefined;
};

/** How long to wait for a connection that takes messages, in ms, and what ends every wait. */
export type Terms = { readonly patience: number; readonly signal?: AbortSignal };

export type ServerInfo = { readonly product: string; readonly version: string };

const defaultConfirmTimeout = 10_000;
const taskTimeout = 60_000;

/**
 * The connection that publishes, opened when it is first needed. It is not the one that consumes: a broker that
 * is short of memory stops reading from publishers, and acks would wait there with the messages.
 */
export class Publisher {
  readonly #options: PublisherOptions;
  #link: Link<Outlet> | undefined;
  #mending: Promise<void> | undefined;
  #closed = false;

  constructor(options: PublisherOptions) {
    this.#options = options;
  }

  /**
   * Resolves when the message is safe in a queue: persistent, routed and confirmed. A queue that somebody deleted
   * meanwhile is declared again.
   * @throws AmqpError
   */
  async publish(message: Outgoing, terms: Terms): Promise<void> {
    try {
      await this.#send(message, terms);
    } catch (error) {
      if (!(error instanceof UnroutableError)) throw error;
      await this.#mend(terms);
      await this.#send(message, terms);
    }
  }

  async #send(message: Outgoing, { patience, signal }: Terms): Promise<void> {
    const outlet = await this.#outlet(patience, signal);
    if (signal?.aborted) throw this.#late('unavailable');
    const { confirmTimeout = defaultConfirmTimeout } = this.#options;
    await within(confirmTimeout, outlet.send(message), () => this.#late('inDoubt'), signal);
  }

  /**
   * Performs a task on a channel of its own. What the task took and did not ack goes back to its queue.
   * @throws AmqpError
   */
  async perform<R>(task: (channel: Channel) => Promise<R>, { patience }: Terms): Promise<R> {
    const { session } = await this.#open().ready(patience);
    try {
      return await within(taskTimeout, withChannel(session.model, task), () => this.#late('unavailable'));
    } catch (error) {
      throw toAmqpError(error, this.#options.address.name);
    }
  }

  /** What the broker says it is. */
  async server({ patience }: Terms): Promise<ServerInfo> {
    const { session } = await this.#open().ready(patience);
    const { product, version } = session.model.connection.serverProperties;
    return { product, version };
  }

  /** What is not confirmed by now is in doubt. Safe to call twice. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#link?.close();
  }

  /** Once for all who ask at the same time. */
  #mend(terms: Terms): Promise<void> {
    this.#mending ??= this.#declare(terms).finally(() => (this.#mending = undefined));
    return this.#mending;
  }

  async #declare({ patience }: Terms): Promise<void> {
    const { address, declaration } = this.#options;
    const { session } = await this.#open().ready(patience);
    try {
      await within(taskTimeout, declaration.on(session.model), () => this.#late('unavailable'));
    } catch (error) {
      throw toAmqpError(error, address.name);
    }
  }

  async #outlet(patience: number, signal: AbortSignal | undefined): Promise<Outlet> {
    const outlet = await this.#open().ready(patience, signal);
    if (outlet.isFull) await within(patience, outlet.room(), () => this.#late('unavailable'), signal);
    return outlet;
  }

  #open(): Link<Outlet> {
    if (this.#closed) throw new AmqpError('unavailable', 'the connection to RabbitMQ is closed');
    const { address, tls, log, declaration } = this.#options;
    this.#link ??= new Link({
      address,
      tls,
      log,
      name: 'holdfast publisher',
      setup: async (session) => {
        await declaration.on(session.model);
        const channel = guard(session, await session.model.createConfirmChannel());
        return new Outlet(session, channel, address.name);
      },
      farewell: (outlet) => outlet.close(),
    });
    return this.#link;
  }

  #late(kind: 'unavailable' | 'inDoubt'): AmqpError {
    const { name } = this.#options.address;
    return kind === 'inDoubt'
      ? new AmqpError(
          kind,
          `RabbitMQ at ${name} did not confirm the message in time: send it again under the same id`,
        )
      : new AmqpError(kind, `RabbitMQ at ${name} did not answer in time: try again later`);
  }
}
