import type { Channel, ConsumeMessage } from 'amqplib';
import { Declaration } from '../../amqp/declaration.ts';
import type { Log, Tls } from '../../amqp/link.ts';
import { Publisher } from '../../amqp/publisher.ts';
import type { ServerInfo } from '../../amqp/publisher.ts';
import { remove, topologyOf } from '../../amqp/topology.ts';
import type { Topology } from '../../amqp/topology.ts';
import { parseAddress } from '../../amqp/url.ts';
import type { Address } from '../../amqp/url.ts';
import type { Depth, Queue } from '../queue.ts';
import { AmqpConsumer } from './consumer.ts';
import { amqpDeadLetters } from './dead-letters.ts';
import { accepted, asQueueError, translated } from './errors.ts';
import { toDeadLetter, toSubmission } from './message.ts';

export type AmqpOptions = {
  /** `amqp://user:password@host:5672/vhost` or `amqps://…`. */
  readonly url: string;
  readonly log: Log;
  /** The start of every name in the broker: `holdfast`. */
  readonly prefix?: string | undefined;
  /** How long a delivery that is handed back waits, in ms: 5 min. The same for everyone who shares a prefix. */
  readonly lap?: number | undefined;
  readonly tls?: Tls | undefined;
  /** How long an operation waits for a connection, in ms: 10 s. */
  readonly patience?: number | undefined;
  /** How long a confirm may take, in ms: 10 s. */
  readonly confirmTimeout?: number | undefined;
  /** How often a consumer declares again what somebody may have deleted, in ms: 30 s. */
  readonly upkeep?: number | undefined;
};

/** What an AMQP broker is to Holdfast. */
export type Amqp = {
  readonly queue: Queue;
  /** Shared by the queue and by the alert; it ends with the queue. */
  readonly publisher: Publisher;
  readonly topology: Topology;
  /** Knows what kind of queues the broker has, once somebody has connected. */
  readonly declaration: Declaration;
  /** @throws QueueError */
  server(): Promise<ServerInfo>;
  /** Deletes every exchange and queue with its messages, once nothing consumes any more. @throws QueueError */
  remove(): Promise<void>;
};

const defaultPatience = 10_000;
const defaultUpkeep = 30_000;

/**
 * Opens nothing yet: each connection is made when it is first needed, one to publish, one for each consumer.
 * @throws QueueError when the URL cannot be read
 */
export const openAmqp = (options: AmqpOptions): Amqp => {
  const { patience = defaultPatience, upkeep = defaultUpkeep } = options;
  const address = read(options.url);
  const topology = topologyOf(options);
  const declaration = new Declaration(topology);
  const publisher = new Publisher({ ...options, address, declaration });
  return {
    queue: queueOf({ ...options, patience, upkeep, address, declaration, publisher }),
    publisher,
    topology,
    declaration,
    server: () => translated(publisher.server({ patience })),
    remove: () => translated(publisher.perform((channel) => remove(channel, topology), { patience })),
  };
};

type Parts = Pick<AmqpOptions, 'log' | 'tls'> & {
  patience: number;
  upkeep: number;
  address: Address;
  declaration: Declaration;
  publisher: Publisher;
};

const queueOf = ({ log, tls, patience, upkeep, address, declaration, publisher }: Parts): Queue => {
  const { topology } = declaration;
  const consumers = new Set<AmqpConsumer>();
  const bury = (message: ConsumeMessage, error: string) =>
    translated(publisher.publish(toDeadLetter(topology, message, error, Date.now()), { patience }));
  return {
    name: address.name,
    holdsByLease: false,
    publish: (submission) => accepted(publisher.publish(toSubmission(topology, submission), { patience })),
    consume: (consumerOptions) => {
      const consumer = new AmqpConsumer({ address, tls, log, declaration, upkeep, bury }, consumerOptions);
      consumers.add(consumer);
      return consumer;
    },
    deadLetters: amqpDeadLetters(publisher, topology, patience),
    depth: () => translated(publisher.perform((channel) => depthOf(channel, topology), { patience })),
    close: async () => {
      await Promise.all([...consumers].map((consumer) => consumer.close()));
      await publisher.close();
    },
  };
};

const depthOf = async (channel: Channel, { runs, waiting, dead }: Topology): Promise<Depth> => {
  const count = async (queue: string) => (await channel.checkQueue(queue)).messageCount;
  return { ready: await count(runs), waiting: await count(waiting), dead: await count(dead) };
};

const read = (url: string): Address => {
  try {
    return parseAddress(url);
  } catch (error) {
    throw asQueueError(error);
  }
};
