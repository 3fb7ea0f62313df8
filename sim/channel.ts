import { EventEmitter } from 'node:events';
import type { ConsumeMessage, Options } from 'amqplib';
import type { Broker, Message } from './broker.ts';
import type { Wire } from './wire.ts';

type Confirm = (error: unknown) => void;
export type Receive = (message: ConsumeMessage | null) => void;

/** A channel as amqplib has it, to a simulated broker: as much of it as Holdfast uses once it is connected. */
export class Channel extends EventEmitter {
  readonly wire: Wire;
  /** What the broker handed out on it, by delivery tag. */
  readonly unacked = new Map<number, Message>();
  prefetched = 0;
  readonly #broker: Broker;
  /** On the process's side: what it was handed and has not settled. */
  readonly #inHand = new Map<number, ConsumeMessage>();
  readonly #unconfirmed = new Set<Confirm>();
  #tags = 0;
  #closed = false;

  constructor(wire: Wire, broker: Broker) {
    super();
    this.wire = wire;
    this.#broker = broker;
    broker.open(this);
    wire.onCut((reason) => {
      broker.lose(this);
      wire.process.soon(() => this.#close(new Error(reason)));
    });
  }

  async prefetch(count: number): Promise<void> {
    this.prefetched = count;
  }

  consume(_queue: string, receive: Receive): Promise<void> {
    return this.#ask(() => this.#broker.subscribe(this, receive));
  }

  cancel(): Promise<void> {
    return this.#ask(() => this.#broker.unsubscribe(this));
  }

  /** On the broker's side: the next message for the consumer. */
  handOut(message: Message, receive: Receive): void {
    const tag = (this.#tags += 1);
    this.unacked.set(tag, message);
    const { redelivered, routingKey, content, properties } = message;
    const fields = { deliveryTag: tag, redelivered, routingKey };
    const delivery = { fields, content, properties } as ConsumeMessage;
    this.wire.toProcess(() => {
      if (this.#closed) return;
      this.#inHand.set(tag, delivery);
      receive(delivery);
    });
  }

  ack({ fields: { deliveryTag } }: ConsumeMessage, allUpTo = false): void {
    this.#check();
    for (const [tag, { properties, content }] of this.#inHand) {
      if (allUpTo ? tag > deliveryTag : tag !== deliveryTag) continue;
      this.#inHand.delete(tag);
      this.#broker.settling(properties.messageId as string | undefined, content);
    }
    this.wire.toBroker(() => this.#broker.ack(this, deliveryTag, allUpTo));
  }

  nack({ fields }: ConsumeMessage): void {
    this.#check();
    this.#inHand.delete(fields.deliveryTag);
    this.wire.toBroker(() => this.#broker.postpone(this, fields.deliveryTag));
  }

  publish(
    exchange: string,
    routingKey: string,
    content: Buffer,
    properties: Options.Publish,
    confirm: Confirm,
  ): boolean {
    this.#check();
    this.#unconfirmed.add(confirm);
    const settle = (nack: unknown) => {
      if (this.#unconfirmed.delete(confirm)) confirm(nack);
    };
    this.wire.toBroker(() =>
      this.#broker.publish(this, { exchange, routingKey, content, properties }, settle),
    );
    return true;
  }

  /** As amqplib does it: first `close`, then an error for each publish that is not confirmed. */
  #close(reason: Error): void {
    if (this.#closed) return;
    this.#closed = true;
    this.emit('close');
    for (const confirm of this.#unconfirmed) confirm(reason);
    this.#unconfirmed.clear();
  }

  #ask(act: () => void): Promise<void> {
    this.#check();
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.once('close', () => reject(new Error('the channel was closed')));
    this.wire.toBroker(() => {
      act();
      this.wire.toProcess(resolve);
    });
    return promise;
  }

  #check(): void {
    if (this.#closed) throw new Error('the channel is closed');
  }
}
