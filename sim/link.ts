import type { Channel as AmqpChannel, ConfirmChannel } from 'amqplib';
import { Declaration } from '../src/amqp/declaration.ts';
import type { Session } from '../src/amqp/link.ts';
import { Outlet } from '../src/amqp/outlet.ts';
import type { Outgoing } from '../src/amqp/outlet.ts';
import { toDeadLetter, toSubmission } from '../src/queue/amqp/message.ts';
import { Inlet } from '../src/queue/amqp/inlet.ts';
import type { ConsumerOptions, Queue, Submission } from '../src/queue/queue.ts';
import { topology } from './broker.ts';
import { Channel } from './channel.ts';
import type { Process } from './process.ts';
import { Wire } from './wire.ts';
import type { World } from './world.ts';

/** Every queue is there, and a quorum queue. */
const declaration = new Declaration(topology);
declaration.learn(topology.runs, 'quorum');

/** How long a process waits before it connects again, in ms. */
const reconnectMs = 200;

/** How long a publish may take, in ms. */
const confirmMs = 3000;

/** A connection that comes back by itself, as `Link` keeps it: here it is wires that are cut. */
class Link<T> {
  readonly #world: World;
  readonly #process: Process;
  readonly #setup: (session: Session, channel: Channel) => T;
  #ready = Promise.withResolvers<T>();
  #wire: Wire | undefined;
  #closed = false;

  constructor(world: World, process: Process, setup: (session: Session, channel: Channel) => T) {
    this.#world = world;
    this.#process = process;
    this.#setup = setup;
    this.#connect();
  }

  ready(): Promise<T> {
    return this.#ready.promise;
  }

  cut(): void {
    this.#wire?.cut('the connection was reset');
  }

  close(): void {
    this.#closed = true;
    // What was sent before arrives before.
    this.#wire?.toBroker(() => this.#wire?.cut('the connection was closed'));
  }

  #connect(): void {
    const { time, dice, broker } = this.#world;
    if (this.#closed) return;
    if (!broker.isUp) return this.#again();
    const wire = new Wire(this.#process, time, dice);
    this.#wire = wire;
    const session = { drop: (reason: Error) => wire.cut(reason.message) } as Session;
    const channel = new Channel(wire, broker);
    channel.once('close', () => {
      this.#ready = Promise.withResolvers();
      this.#again();
    });
    this.#ready.resolve(this.#setup(session, channel));
  }

  #again(): void {
    this.#process.after(reconnectMs, () => this.#connect());
  }
}

/** What a process publishes with: a real outlet on each connection. */
export class Publisher {
  readonly #process: Process;
  readonly #link: Link<Outlet>;

  constructor(world: World, process: Process) {
    this.#process = process;
    this.#link = new Link(
      world,
      process,
      (session, channel) => new Outlet(session, channel as unknown as ConfirmChannel, 'the broker'),
    );
  }

  /** @throws when it is not confirmed in time. */
  async publish(message: Outgoing): Promise<void> {
    const late = Promise.withResolvers<never>();
    const inTime = this.#process.after(confirmMs, () => late.reject(new Error('not confirmed in time')));
    const sent = this.#link.ready().then((outlet) => outlet.send(message));
    try {
      await Promise.race([sent, late.promise]);
    } finally {
      inTime();
    }
  }

  submit(submission: Submission): Promise<void> {
    return this.publish(toSubmission(topology, submission));
  }

  cut(): void {
    this.#link.cut();
  }
}

/** The queue of a worker's process: a real inlet on each connection. */
export class WorkerQueue implements Pick<Queue, 'name' | 'holdsByLease' | 'consume' | 'close'> {
  readonly name = 'the simulated broker';
  readonly holdsByLease = false;
  readonly #world: World;
  readonly #process: Process;
  readonly #publisher: Publisher;
  #link: Link<Inlet> | undefined;

  constructor(world: World, process: Process, publisher: Publisher) {
    this.#world = world;
    this.#process = process;
    this.#publisher = publisher;
  }

  consume({ worker, prefetch, onDelivery, onLost }: ConsumerOptions): { stop(): Promise<void> } {
    let stopped = false;
    const bury = (message: Parameters<typeof toDeadLetter>[1], error: string) =>
      this.#publisher.publish(toDeadLetter(topology, message, error, this.#world.clock.now));
    const link = new Link(this.#world, this.#process, (session, channel) => {
      const options = { declaration, prefetch, bury, onDelivery, onLost };
      const inlet = new Inlet(session, channel as unknown as AmqpChannel, options);
      void inlet.limit();
      if (!stopped) inlet.consume(worker).catch(() => {}); // the link connects again
      return inlet;
    });
    this.#link = link;
    const stop = async () => {
      stopped = true;
      const { channel } = await link.ready();
      await channel.cancel(worker).catch(() => {});
    };
    return { stop };
  }

  async close(): Promise<void> {
    this.#link?.close();
  }

  cut(): void {
    this.#link?.cut();
  }
}
