import type { Consumer, Delivery, Message, Queue } from './queue.ts';

export type Inbox = {
  readonly consumer: Consumer;
  /** All deliveries so far. */
  readonly received: Delivery[];
  /** How often the deliveries in hand became void. */
  readonly losses: true[];
  /** The next delivery that was not asked for yet; waits for it. */
  readonly next: () => Promise<Delivery>;
};

/** A submission of which only the id matters. */
export const publish = (queue: Queue, id: string): Promise<void> =>
  queue.publish({ id, machine: 'create-todo@1', body: Buffer.from('{}') });

export const idOf = ({ message }: { message: Message }): string => message.id ?? '';

let workers = 0;

/** A consumer whose deliveries are waited for one by one. */
export const inbox = (
  queue: Queue,
  { prefetch = 10, handle }: { prefetch?: number; handle?: (delivery: Delivery) => void } = {},
): Inbox => {
  const received: Delivery[] = [];
  const losses: true[] = [];
  const waiting: ((delivery: Delivery) => void)[] = [];
  let taken = 0;
  const consumer = queue.consume({
    prefetch,
    worker: `worker-${(workers += 1)}`,
    onDelivery: (delivery) => {
      received.push(delivery);
      if (handle) return handle(delivery);
      const waiter = waiting.shift();
      if (waiter) waiter(received[taken++]!);
    },
    onLost: () => losses.push(true),
  });
  const next = () => {
    const { promise, resolve } = Promise.withResolvers<Delivery>();
    if (taken < received.length) resolve(received[taken++]!);
    else waiting.push(resolve);
    return promise;
  };
  return { consumer, received, losses, next };
};
