import { Queue, Worker } from 'bullmq';
import { Redis } from 'ioredis';
import { alertKey, alertOf, auditKey } from '../effects.ts';
import { todoOf } from './peer.ts';
import type { Peer, Submission } from './peer.ts';

const worker = { concurrency: 256 };
const name = 'create-todo';

export const peer: Peer = {
  title: 'BullMQ',
  kind: 'job queue, no durable steps',
  packages: ['bullmq', 'ioredis'],
  server: 'redis',
  durability: 'Redis, appendonly yes, appendfsync always; todos are hashes there',
  settings: worker,
  sources: [
    'https://docs.bullmq.io/guide/workers/concurrency',
    'https://docs.bullmq.io/guide/going-to-production',
  ],
  open: async ({ serverUrl, sendAlert, sendAudit }) => {
    const connection = { url: serverUrl, maxRetriesPerRequest: null };
    const queue = new Queue<Submission>(name, { connection });
    const redis = new Redis(serverUrl);
    let consumer: Worker<Submission> | undefined;
    return {
      submit: async (submissions) => {
        await queue.addBulk(submissions.map((data) => ({ name, data })));
      },
      start: async () => {
        const work = async ({ data }: { data: Submission }) => {
          const todo = todoOf(data);
          await redis.hset(`todo:${todo.id}`, todo);
          await sendAlert(alertOf(todo), alertKey(todo.id));
          await sendAudit(todo, auditKey(todo.id));
        };
        consumer = new Worker<Submission>(name, work, { ...worker, connection });
        await consumer.waitUntilReady();
      },
      count: async () => ({
        saved: await countKeys(redis, 'todo:*'),
        finished: await queue.getCompletedCount(),
      }),
      close: async () => {
        await consumer?.close();
        await queue.close();
        redis.disconnect();
      },
    };
  },
};

const countKeys = async (redis: Redis, pattern: string): Promise<number> => {
  let cursor = '0';
  const keys = new Set<string>();
  do {
    const [next, found] = await redis.scan(cursor, 'MATCH', pattern, 'COUNT', 10_000);
    for (const key of found) keys.add(key);
    cursor = next;
  } while (cursor !== '0');
  return keys.size;
};
