/** A worker that acks a message before the run of it is saved. */
import type { Ports } from '../../src/cli/compose.ts';
import { runCrashWorker } from '../../src/cli/prove/crash-worker.ts';
import type { Consumer, ConsumerOptions, Delivery, Queue } from '../../src/queue/queue.ts';
import { replacing } from './replacing.ts';

const ackEarly = (ports: Ports): Ports => {
  const { queue, db, amqp } = ports;
  // What was acked is gone when the broker has answered another question, or after the next transaction.
  const flushed = () => (amqp ? queue.depth() : db.write(() => {}));
  const consume = (options: ConsumerOptions): Consumer =>
    queue.consume({
      ...options,
      onDelivery: (delivery: Delivery) => {
        delivery.ack();
        void flushed().then(() => options.onDelivery(delivery));
      },
    });
  return { ...ports, queue: replacing<Queue>(queue, { consume }) };
};

await runCrashWorker(ackEarly);
