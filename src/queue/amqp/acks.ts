import type { ConsumeMessage } from 'amqplib';

/**
 * The acks of one channel. Those of one moment, a turn's, go in one frame as far as nothing before them is still in
 * hand (basic.ack, multiple): acked one by one, a message costs a quorum queue twice as much. Tags only grow.
 */
export class Acks {
  readonly #send: (message: ConsumeMessage, allUpTo: boolean) => void;
  /** By delivery tag, in their order. */
  readonly #inHand = new Map<number, ConsumeMessage>();
  readonly #acked = new Set<number>();

  constructor(send: (message: ConsumeMessage, allUpTo: boolean) => void) {
    this.#send = send;
  }

  take(message: ConsumeMessage): void {
    this.#inHand.set(message.fields.deliveryTag, message);
  }

  /** It is settled in another way, now. */
  drop({ fields }: ConsumeMessage): void {
    this.#inHand.delete(fields.deliveryTag);
  }

  ack({ fields }: ConsumeMessage): void {
    this.#acked.add(fields.deliveryTag);
    if (this.#acked.size === 1) queueMicrotask(() => this.#flush());
  }

  #flush(): void {
    const last = this.#takeFirst();
    if (last) this.#send(last, true);
    for (const tag of this.#acked) {
      this.#send(this.#inHand.get(tag)!, false);
      this.#inHand.delete(tag);
    }
    this.#acked.clear();
  }

  /** Takes those at the front that are acked, and returns the last of them. */
  #takeFirst(): ConsumeMessage | undefined {
    let last: ConsumeMessage | undefined;
    for (const [tag, message] of this.#inHand) {
      if (!this.#acked.delete(tag)) break;
      this.#inHand.delete(tag);
      last = message;
    }
    return last;
  }
}
