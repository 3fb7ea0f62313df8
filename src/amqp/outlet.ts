import { IllegalOperationError } from 'amqplib';
import type { ConfirmChannel, Message, Options } from 'amqplib';
import { AmqpError, isRejection, textOf, toAmqpError } from './error.ts';
import type { Session } from './link.ts';

/** A message on its way to an exchange. */
export type Outgoing = {
  readonly exchange: string;
  readonly routingKey: string;
  readonly body: Buffer;
  readonly properties: Options.Publish;
};

/** Tells a message that comes back apart from the others where it has no `messageId`. */
export const deadLetterIdHeader = 'x-dead-letter-id';

/** No queue is bound to the exchange: the message was not accepted, and would be once one is. */
export class UnroutableError extends AmqpError {}

/** When a node of a cluster dies, a channel may nack for ever while a new one would work. */
const mostNacksInARow = 100;

/** One confirm channel, from its opening to its end. */
export class Outlet {
  readonly session: Session;
  readonly #where: string;
  readonly #channel: ConfirmChannel;
  readonly #returned = new Map<string, number>();
  #unconfirmed = 0;
  #nacks = 0;
  #end: Error | undefined;
  #room: Promise<void> | undefined;

  constructor(session: Session, channel: ConfirmChannel, where: string) {
    this.session = session;
    this.#channel = channel;
    this.#where = where;
    channel.on('error', (error) => (this.#end = error));
    // Before amqplib's own listener, which answers each unconfirmed publish with an error like a nack's.
    channel.prependListener('close', () => (this.#end ??= new Error('the connection was closed')));
    channel.on('return', ({ properties }) => this.#count(properties, 1));
  }

  /** True while the channel takes no messages. */
  get isFull(): boolean {
    return this.#room !== undefined;
  }

  /** Settles when the channel takes messages again; at once if it does now. */
  async room(): Promise<void> {
    while (this.#room) await this.#room;
  }

  /**
   * Resolves when the broker has the message safe in a queue.
   * @throws AmqpError
   */
  send({ exchange, routingKey, body, properties }: Outgoing): Promise<void> {
    return new Promise((resolve, reject) => {
      const settle = (nack: unknown) => {
        const problem = this.#problem(nack, exchange, properties);
        this.#unconfirmed -= 1;
        if (problem) reject(problem);
        else resolve();
      };
      const options = { ...properties, persistent: true, mandatory: true };
      try {
        if (!this.#channel.publish(exchange, routingKey, body, options, settle)) this.#wait();
        this.#unconfirmed += 1;
      } catch (error) {
        reject(this.#unsent(error));
      }
    });
  }

  close(): Promise<void> {
    return this.#channel.close();
  }

  #wait(): void {
    this.#room ??= new Promise((resolve) => {
      const go = () => {
        this.#room = undefined;
        resolve();
      };
      this.#channel.once('drain', go);
      this.#channel.once('close', go);
    });
  }

  #problem(nack: unknown, exchange: string, properties: Options.Publish): AmqpError | undefined {
    if (this.#end) return this.#lost(this.#end);
    if (nack) return this.#nacked();
    this.#nacks = 0;
    // An unroutable message is returned first and confirmed then.
    if (this.#count(properties, -1)) return unroutable(this.#where, exchange);
    return undefined;
  }

  /** Which of several messages the broker closed the channel for, nobody can tell; of one, it is clear. */
  #lost(reason: Error): AmqpError {
    if (isRejection(reason) && this.#unconfirmed === 1) return toAmqpError(reason, this.#where);
    return new AmqpError(
      'inDoubt',
      `the connection to ${this.#where} was lost before the confirm (${textOf(reason)}): send it again under the same id`,
      { cause: reason },
    );
  }

  #nacked(): AmqpError {
    this.#nacks += 1;
    if (this.#nacks >= mostNacksInARow)
      this.session.drop(new Error(`${this.#nacks} messages in a row were not taken`));
    return new AmqpError(
      'unavailable',
      `RabbitMQ at ${this.#where} did not take the message: its queue is full or a node is failing; try again later`,
    );
  }

  #unsent(error: unknown): AmqpError {
    return error instanceof IllegalOperationError
      ? toAmqpError(error, this.#where)
      : new AmqpError(
          'refused',
          `the message cannot be sent (${textOf(error)}): make its properties smaller`,
          { cause: error },
        );
  }

  /** Counts how many returned messages of this key await their confirm; false when there was none to take away. */
  #count(
    { messageId, headers }: Pick<Message['properties'] | Options.Publish, 'messageId' | 'headers'>,
    change: 1 | -1,
  ): boolean {
    const key = String(messageId ?? headers?.[deadLetterIdHeader]);
    const count = (this.#returned.get(key) ?? 0) + change;
    if (count < 0) return false;
    if (count > 0) this.#returned.set(key, count);
    else this.#returned.delete(key);
    return true;
  }
}

const unroutable = (where: string, exchange: string): UnroutableError =>
  new UnroutableError(
    'refused',
    `no queue is bound to the exchange ${exchange} at ${where}: bind one, or let a user who may declare it connect once`,
  );
