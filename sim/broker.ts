import type { Options } from 'amqplib';
import { topologyOf } from '../src/amqp/topology.ts';
import type { Channel, Receive } from './channel.ts';
import type { Dice } from './dice.ts';
import type { Journal } from './journal.ts';
import type { Milestone } from './milestones.ts';
import type { ConfirmFate } from './scenario.ts';
import type { Time } from './time.ts';

type Published = {
  readonly exchange: string;
  readonly routingKey: string;
  readonly content: Buffer;
  readonly properties: Options.Publish;
};

export type Message = Omit<Published, 'exchange'> & { redelivered: boolean };

/** Longer than a run without an owner may have to wait: what only the message brings back shows as late. */
const lap = 60_000;

export const topology = topologyOf({ lap });

export type BrokerEvents = {
  /** An alert is in its queue. */
  readonly onAlert: (key: string, body: string) => void;
  /** A worker acks a message of `runs`. */
  readonly onAck: (id: string | undefined, content: Buffer) => void;
};

/** What RabbitMQ keeps and does for Holdfast: the queues of its topology, a single active consumer, confirms. */
export class Broker {
  readonly ready: Message[] = [];
  readonly waiting: Message[] = [];
  readonly dead: Message[] = [];
  isUp = true;
  /** False while nobody has bound a queue to the exchange of alerts. */
  alertsBound = true;
  readonly #channels = new Set<Channel>();
  readonly #consumers = new Map<Channel, Receive>();
  readonly #time: Time;
  readonly #dice: Dice;
  readonly #journal: Journal;
  readonly #events: BrokerEvents;
  readonly #fates: ConfirmFate[];

  constructor(
    { time, dice, journal }: { time: Time; dice: Dice; journal: Journal },
    fates: readonly ConfirmFate[],
    events: BrokerEvents,
  ) {
    this.#time = time;
    this.#dice = dice;
    this.#journal = journal;
    this.#fates = [...fates];
    this.#events = events;
  }

  get unacked(): number {
    let count = 0;
    for (const channel of this.#channels) count += channel.unacked.size;
    return count;
  }

  /** Killed and started again: it keeps what it confirmed, and every connection ends. */
  crash(): void {
    this.#note('the broker is killed');
    this.isUp = false;
    for (const channel of this.#channels) channel.wire.cut('the broker was killed');
  }

  start(): void {
    this.isUp = true;
    this.#note('the broker is up');
  }

  open(channel: Channel): void {
    this.#channels.add(channel);
  }

  subscribe(channel: Channel, receive: Receive): void {
    this.#consumers.set(channel, receive);
    this.#handOut();
  }

  unsubscribe(channel: Channel): void {
    this.#consumers.delete(channel);
    this.#handOut();
  }

  /** As when its queue is deleted, or by 4.x when an ack takes too long: the consumer hears `null`. */
  cancelConsumer(): void {
    const [active] = this.#consumers;
    if (!active) return;
    const [channel, receive] = active;
    this.#note(`the consumer of ${channel.wire.process.name} is cancelled`);
    this.#consumers.delete(channel);
    channel.wire.toProcess(() => receive(null));
    this.#handOut();
  }

  /** As by 3.10 and 4.0: an ack took too long, the channel ends. */
  timeOut(): void {
    const [active] = this.#consumers.keys();
    active?.wire.cut('delivery acknowledgement timed out');
  }

  /** The connection of a channel is gone: what was in its hands goes to the next one. */
  lose(channel: Channel): void {
    this.#channels.delete(channel);
    this.#consumers.delete(channel);
    const returned = [...channel.unacked.values()];
    for (const message of returned) message.redelivered = true;
    channel.unacked.clear();
    if (returned.length > 0)
      this.#note(
        `${returned.length} come back from ${channel.wire.process.name}: ${returned.map(idOf).join(', ')}`,
        'redelivery',
      );
    this.ready.unshift(...returned);
    this.#handOut();
  }

  settling(id: string | undefined, content: Buffer): void {
    this.#events.onAck(id, content);
  }

  ack(channel: Channel, tag: number, allUpTo: boolean): void {
    const tags = allUpTo ? [...channel.unacked.keys()].filter((one) => one <= tag) : [tag];
    for (const one of tags) {
      const message = this.#settle(channel, one);
      if (message) this.#note(`${idOf(message)} is acked by ${channel.wire.process.name}`);
    }
    this.#handOut();
  }

  postpone(channel: Channel, tag: number): void {
    const message = this.#settle(channel, tag);
    if (message) this.#wait({ ...message, redelivered: false });
    this.#handOut();
  }

  publish(channel: Channel, published: Published, settle: (nack: unknown) => void): void {
    const fate = this.#fates.shift() ?? 'confirmed';
    const id = published.properties.messageId;
    if (fate !== 'confirmed') this.#note(`the publish of ${id} is ${fate}`);
    if (fate === 'dropped') return channel.wire.cut('the connection was reset');
    if (fate === 'nacked') return channel.wire.toProcess(() => settle(new Error('message nacked')));
    const isRouted = this.#route(published);
    if (fate === 'unconfirmed') return undefined;
    if (fate === 'cut') return channel.wire.cut('the connection was reset');
    if (!isRouted && published.properties.mandatory)
      channel.wire.toProcess(() => channel.emit('return', { properties: published.properties }));
    return channel.wire.toProcess(() => settle(null));
  }

  /** A publisher, or the broker itself, has sent a message twice. */
  duplicate(): void {
    const message = this.ready[0] ?? this.waiting[0];
    if (!message) return;
    this.#note(`${idOf(message)} is there twice`);
    this.ready.push({ ...message });
    this.#handOut();
  }

  /** Messages that came back lie where the broker pleases. */
  shuffle(): void {
    for (let last = this.ready.length - 1; last > 0; last--) {
      const other = this.#dice.between(0, last);
      [this.ready[last], this.ready[other]] = [this.ready[other]!, this.ready[last]!];
    }
  }

  /** The lap is over for all that wait. */
  endLaps(): void {
    this.ready.push(...this.waiting.splice(0));
    this.#handOut();
  }

  #route({ exchange, ...message }: Published): boolean {
    switch (exchange) {
      case topology.submit:
        this.ready.push({ ...message, redelivered: false });
        this.#note(`${message.properties.messageId} is submitted`);
        this.#handOut();
        return true;
      case topology.dead:
        this.dead.push({ ...message, redelivered: false });
        this.#note(
          `${message.properties.messageId} is a dead letter: ${message.properties.headers?.['x-error']}`,
          'dead letter',
        );
        return true;
      case topology.events:
        if (this.alertsBound)
          this.#events.onAlert(message.properties.messageId ?? '', message.content.toString());
        return this.alertsBound;
      default:
        throw new Error(`nobody declared the exchange ${exchange}`);
    }
  }

  #settle(channel: Channel, tag: number): Message | undefined {
    const message = channel.unacked.get(tag);
    channel.unacked.delete(tag);
    return message;
  }

  #wait(message: Message): void {
    this.waiting.push(message);
    this.#note(`${idOf(message)} waits for a lap`, 'lap');
    this.#time.in(lap, () => {
      const index = this.waiting.indexOf(message);
      if (index < 0) return;
      this.waiting.splice(index, 1);
      this.ready.push(message);
      this.#handOut();
    });
  }

  /** `runs` has a single active consumer: the next one's turn comes when it is gone. */
  #handOut(): void {
    const [active] = this.#consumers;
    if (!active || !this.isUp) return;
    const [channel, receive] = active;
    while (this.ready.length > 0 && channel.unacked.size < channel.prefetched)
      channel.handOut(this.ready.shift()!, receive);
  }

  #note(what: string, milestone?: Milestone): void {
    this.#journal.note('broker', what, milestone);
  }
}

const idOf = ({ properties }: Message): string => String(properties.messageId);
