import type { Channel, ChannelModel, Options } from 'amqplib';
import { isAccessRefused } from './error.ts';
import { withChannel } from './link.ts';

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

/**
 * Sees to it that everything is there. A user who may not declare is content with what exists; who may, finds
 * it as it is or makes it.
 * @throws with code 406 where something exists with other arguments, 404 where it is missing and may not be made
 */
export const declare = async (model: ChannelModel, topology: Topology): Promise<void> => {
  try {
    await withChannel(model, (channel) => make(channel, topology));
  } catch (error) {
    if (!isAccessRefused(error)) throw error;
    await withChannel(model, (channel) => check(channel, topology));
  }
};

/** Deletes everything, with every message in it. */
export const remove = async (channel: Channel, topology: Topology): Promise<void> => {
  for (const [queue] of queuesOf(topology)) await channel.deleteQueue(queue);
  for (const [exchange] of exchangesOf(topology)) await channel.deleteExchange(exchange);
};

const make = async (channel: Channel, topology: Topology): Promise<void> => {
  for (const [exchange, type] of exchangesOf(topology)) await channel.assertExchange(exchange, type);
  for (const [queue, options] of queuesOf(topology)) await channel.assertQueue(queue, options);
  for (const [queue, exchange] of bindingsOf(topology)) await channel.bindQueue(queue, exchange, '#');
};

const check = async (channel: Channel, topology: Topology): Promise<void> => {
  for (const [exchange] of exchangesOf(topology)) await channel.checkExchange(exchange);
  for (const [queue] of queuesOf(topology)) await channel.checkQueue(queue);
};

const exchangesOf = ({ submit, later, back, dead, events }: Topology): [name: string, type: string][] => [
  [submit, 'topic'],
  [later, 'fanout'],
  [back, 'fanout'],
  [dead, 'fanout'],
  [events, 'topic'],
];

const queuesOf = ({
  runs,
  later,
  waiting,
  back,
  dead,
  alerts,
  lap,
}: Topology): [name: string, options: Options.AssertQueue][] => [
  // A SQLite store is local: one worker host at a time, the next one takes over when it goes.
  [runs, quorum({ ...deadLettersTo(later), 'x-single-active-consumer': true })],
  [waiting, quorum({ ...deadLettersTo(back), 'x-message-ttl': lap })],
  [dead, quorum()],
  [alerts, quorum()],
];

const bindingsOf = ({
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
const quorum = (more: Record<string, unknown> = {}): Options.AssertQueue => ({
  arguments: {
    'x-queue-type': 'quorum',
    'x-delivery-limit': 1_000_000,
    'x-overflow': 'reject-publish',
    ...more,
  },
});

/** Any other strategy loses messages when the broker is killed between the two queues. */
const deadLettersTo = (exchange: string): Record<string, unknown> => ({
  'x-dead-letter-exchange': exchange,
  'x-dead-letter-strategy': 'at-least-once',
});
