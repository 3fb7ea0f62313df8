import type { Channel, ChannelModel } from 'amqplib';
import { hasOtherSettings, isAccessRefused, lacksQuorumQueues } from './error.ts';
import { kindOf } from './kind-of.ts';
import { withChannel } from './link.ts';
import { bindingsOf, exchangesOf, queuesOf } from './topology.ts';
import type { QueueArguments, QueueKind, Topology } from './topology.ts';

/**
 * Sees to it that all of a topology is there, on whatever connection, and knows what kind of queues they are. A
 * user who may not declare is content with what exists; who may, finds it as it is or makes it.
 */
export class Declaration {
  readonly topology: Topology;
  readonly #kinds = new Map<string, QueueKind>();
  #hasNoQuorum = false;

  constructor(topology: Topology) {
    this.topology = topology;
  }

  /** @throws with code 406 where something exists with other arguments, 404 where it is missing and may not be made */
  async on(model: ChannelModel): Promise<void> {
    const listen = (error: unknown) => void (this.#hasNoQuorum ||= lacksQuorumQueues(error));
    model.on('error', listen); // a broker without quorum queues closes the connection when it is asked for one
    try {
      await this.#make(model);
    } catch (error) {
      if (!isAccessRefused(error)) throw error;
      await withChannel(model, (channel) => check(channel, this.topology));
    } finally {
      model.off('error', listen);
    }
  }

  /** The queues that are known to be classic ones. */
  get classic(): string[] {
    return [...this.#kinds].filter(([, kind]) => kind === 'classic').map(([queue]) => queue);
  }

  /** What the queue of submissions is; nothing where this user cannot know yet. */
  get kind(): QueueKind | undefined {
    return this.#kinds.get(this.topology.runs);
  }

  /**
   * A classic `waiting` may lose what passes through it, and a quorum queue refuses the movable limit that it takes
   * to keep deliveries in hand instead: of the two together nothing can be consumed.
   */
  get isMixed(): boolean {
    return this.kind === 'quorum' && this.#kinds.get(this.topology.waiting) === 'classic';
  }

  /** For a user who may not declare: what a message told of the queue that it came from. */
  learn(queue: string, kind: QueueKind): void {
    this.#kinds.set(queue, kind);
  }

  async #make(model: ChannelModel): Promise<void> {
    const kind = this.#hasNoQuorum ? 'classic' : 'quorum';
    const queues = queuesOf(this.topology, kind);
    try {
      await withChannel(model, (channel) => make(channel, this.topology, queues));
      for (const [queue] of queues) this.#kinds.set(queue, kind);
    } catch (error) {
      if (!hasOtherSettings(error)) throw error;
      for (const [queue, args] of queues) this.#kinds.set(queue, await makeQueue(model, queue, args, kind));
      await withChannel(model, (channel) => make(channel, this.topology, []));
    }
  }
}

type Queues = ReturnType<typeof queuesOf>;

const make = async (channel: Channel, topology: Topology, queues: Queues): Promise<void> => {
  for (const [exchange, type] of exchangesOf(topology)) await channel.assertExchange(exchange, type);
  for (const [queue, args] of queues) await channel.assertQueue(queue, { arguments: args });
  for (const [queue, exchange] of bindingsOf(topology)) await channel.bindQueue(queue, exchange, '#');
};

/** A refusal costs the channel, so each queue has its own. */
const makeQueue = async (
  model: ChannelModel,
  queue: string,
  args: QueueArguments,
  kind: QueueKind,
): Promise<QueueKind> => {
  try {
    await withChannel(model, (channel) => channel.assertQueue(queue, { arguments: args }));
    return kind;
  } catch (error) {
    if (!hasOtherSettings(error) || (await kindOf(model, queue, args)) !== 'classic') throw error;
    return 'classic'; // somebody made it so, whatever else it has
  }
};

const check = async (channel: Channel, topology: Topology): Promise<void> => {
  for (const [exchange] of exchangesOf(topology)) await channel.checkExchange(exchange);
  for (const [queue] of queuesOf(topology, 'quorum')) await channel.checkQueue(queue);
};
