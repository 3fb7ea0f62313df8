import type { Queue } from '../../queue/queue.ts';
import { openExisting } from '../archive.ts';
import { isEmbedded, openQueue } from '../compose.ts';
import type { OpenQueue } from '../compose.ts';
import { quiet } from '../log.ts';
import { age } from '../output/time.ts';
import type { Settings } from '../settings.ts';
import { checkPrivate } from './files.ts';
import { attempt, ok, warn } from './finding.ts';
import type { Finding } from './finding.ts';
import { checkRabbit } from './rabbit.ts';

export const checkQueue = async (settings: Settings): Promise<Finding[]> => [
  ...(await checkKey(settings)),
  ...(await checkOpen(settings)),
];

const checkKey = ({ certKey }: Settings): Promise<Finding[]> =>
  attempt('client key', async () => (certKey === undefined ? [] : [checkPrivate('client key', certKey)]));

const checkOpen = (settings: Settings): Promise<Finding[]> =>
  attempt('queue', async () => {
    const existing = isEmbedded(settings) ? openExisting(settings) : undefined;
    if (isEmbedded(settings) && !existing) return [ok('queue', 'embedded: it comes with the store')];
    const open = openQueue(settings, quiet, existing?.db);
    try {
      return await findingsOf(open);
    } finally {
      await open.close();
      existing?.db.close();
    }
  });

const findingsOf = async ({ queue, amqp }: OpenQueue): Promise<Finding[]> => {
  const broker = amqp ? await checkRabbit(amqp, queue.name) : [];
  const { ready, waiting, dead } = await queue.depth();
  return [
    ...broker,
    ok('queue', `${queue.name}: ${ready} ready, ${waiting} waiting, ${dead} dead`),
    await checkDead(queue, dead, Date.now()),
  ];
};

const checkDead = async ({ deadLetters }: Queue, dead: number, now: number): Promise<Finding> => {
  if (dead === 0) return ok('dead letters', 'none');
  const [oldest] = await deadLetters.list(1);
  const since = oldest && oldest.at > 0 ? `, the oldest for ${age(oldest.at, now)}` : '';
  return warn('dead letters', `${dead}${since}`, 'holdfast dead-letters list, then show, requeue or drop');
};
