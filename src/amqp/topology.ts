import type { Channel } from 'amqplib';

/** The names of all that Holdfast keeps in a broker. */
export type Topology = {
  /** Exchange of submissions, by machine id. */
  readonly submit: string;
  /** Queue of submissions. */
  readonly runs: string;
  /** Exchange and queue where a delivery waits for one lap, and the exchange that brings it back. */
  readonly later: string;
  readonly waiting: string;
  readonly back: string;
  /** Exchange and queue of what can never become a run. */
  readonly dead: string;
  /** Exchange and queue of what runs tell the world. */
  readonly events: string;
  readonly alerts: string;
  /** How long a delivery waits in `waiting`, in ms. */
  readonly lap: number;
};

const defaultLap = 300_000;

export const topologyOf = ({
  prefix = 'holdfast',
  lap = defaultLap,
}: {
  prefix?: string | undefined;
  lap?: number | undefined;
}): Topology => ({
  submit: `${prefix}.submit`,
  runs: `${prefix}.runs`,
  later: `${prefix}.later`,
  waiting: `${prefix}.waiting`,
  back: `${prefix}.back`,
  dead: `${prefix}.dead`,
  events: `${prefix}.events`,
  alerts: `${prefix}.alerts`,
  lap,
});

/** Deletes everything, with every message in it. */
export const remove = async (channel: Channel, topology: Topology): Promise<void> => {
  for (const [queue] of queuesOf(topology, 'quorum')) await channel.deleteQueue(queue);
  for (const [exchange] of exchangesOf(topology)) await channel.deleteExchange(exchange);
};

export const exchangesOf = ({
  submit,
  later,
  back,
  dead,
  events,
}: Topology): [name: string, type: string][] => [
  [submit, 'topic'],
  [later, 'fanout'],
  [back, 'fanout'],
  [dead, 'fanout'],
  [events, 'topic'],
];

/** Quorum queues everywhere, but where a broker has none. */
export type QueueKind = 'quorum' | 'classic';

export const queuesOf = (
  { runs, later, waiting, back, dead, alerts, lap }: Topology,
  kind: QueueKind,
): [name: string, args: QueueArguments][] => [
  // A SQLite store is local: one worker host at a time, the next one takes over when it goes.
  [runs, { ...common[kind], ...deadLettersTo(later, kind), 'x-single-active-consumer': true }],
  [waiting, { ...common[kind], ...deadLettersTo(back, kind), 'x-message-ttl': lap }],
  [dead, common[kind]],
  [alerts, common[kind]],
];

export type QueueArguments = Readonly<Record<string, string | number | boolean>>;

export const bindingsOf = ({
  submit,
  runs,
  later,
  waiting,
  back,
  dead,
  events,
  alerts,
}: Topology): [queue: string, exchange: string][] => [
  [runs, submit],
  [runs, back],
  [waiting, later],
  [dead, dead],
  [alerts, events],
];

/**
 * 4.x drops or dead-letters a message after 20 returns, and -1 does so at once on 3.10; a million works on all.
 * Without `reject-publish` the strategy below is silently off.
 */
const common: Record<QueueKind, QueueArguments> = {
  quorum: { 'x-queue-type': 'quorum', 'x-delivery-limit': 1_000_000, 'x-overflow': 'reject-publish' },
  classic: { 'x-queue-type': 'classic' },
};

/** Any other strategy loses messages when the broker is killed between the two queues; a classic queue has no other. */
const deadLettersTo = (exchange: string, kind: QueueKind): QueueArguments => ({
  'x-dead-letter-exchange': exchange,
  ...(kind === 'quorum' && { 'x-dead-letter-strategy': 'at-least-once' }),
});
