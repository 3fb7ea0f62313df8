import { inject } from 'vitest';
import { describeQueue } from '../queue.suite.ts';
import { openAmqp } from './open.ts';

const silent = { info: () => {}, warn: () => {}, error: () => {} };
let prefixes = 0;
const freshPrefix = () => `amqp-test-${process.pid}-${(prefixes += 1)}`;

describeQueue('RabbitMQ', {
  open: async () => {
    const lap = 300;
    const options = { url: inject('amqpUrl'), log: silent, prefix: freshPrefix(), lap };
    const first = openAmqp(options);
    const others = new Set<ReturnType<typeof openAmqp>>();
    return {
      queue: first.queue,
      lap,
      another: async () => {
        const other = openAmqp(options);
        others.add(other);
        return other.queue;
      },
      cleanup: async () => {
        await Promise.all([first, ...others].map(({ queue }) => queue.close()));
        const sweeper = openAmqp(options);
        await sweeper.remove();
        await sweeper.queue.close();
      },
    };
  },
});
