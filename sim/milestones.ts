import { queueKinds } from './scenario.ts';
import type { QueueKind } from './scenario.ts';

/** Where a history may come to. What none of them reaches, the simulation proves nothing about. */
export const milestones = [
  'takeover',
  'buried worker',
  'lost lease',
  'late write',
  'redelivery',
  'repeated effect',
  'verified effect',
  'lap',
  'dead letter',
  'open circuit',
  'full disk',
  'clock set back',
  'cancel',
  'retry',
  'poison run',
] as const;

export type Milestone = (typeof milestones)[number];

/** How many histories with each queue came to each. */
export type Reached = Record<QueueKind, Record<Milestone, number>>;

export const noneReached = (): Reached => ({ amqp: none(), embedded: none() });

export const addReached = (sum: Reached, more: Reached): void => {
  for (const queue of queueKinds)
    for (const milestone of milestones) sum[queue][milestone] += more[queue][milestone];
};

const none = () =>
  Object.fromEntries(milestones.map((milestone) => [milestone, 0])) as Record<Milestone, number>;
