import { sendAlertByAmqp } from '../src/effects/alert-amqp.ts';
import type { Submission } from '../src/queue/queue.ts';
import { topology } from './broker.ts';
import { Publisher, WorkerQueue } from './link.ts';
import type { DeadLetter, Equipment, Post } from './post.ts';
import { Process } from './process.ts';
import type { World } from './world.ts';

/** The queue at a broker. */
export class BrokerPost implements Post {
  readonly #world: World;
  readonly #publisher: Publisher;

  constructor(world: World) {
    this.#world = world;
    this.#publisher = new Publisher(world, new Process(world.time, 'person', 0));
  }

  equip(process: Process): Equipment {
    const publisher = new Publisher(this.#world, process);
    const queue = new WorkerQueue(this.#world, process, publisher);
    return {
      queue,
      sendAlert: sendAlertByAmqp(publisher, topology),
      cutConsumer: () => queue.cut(),
      cutPublisher: () => publisher.cut(),
    };
  }

  submit(submission: Submission): Promise<void> {
    return this.#publisher.submit(submission);
  }

  isIdle(): boolean {
    const { broker } = this.#world;
    return broker.ready.length === 0 && broker.unacked === 0;
  }

  isWaiting(): boolean {
    return this.#world.broker.waiting.length > 0;
  }

  endLaps(): void {
    this.#world.broker.endLaps();
  }

  dead(): DeadLetter[] {
    return this.#world.broker.dead.map(({ properties, content }) => ({
      id: properties.messageId,
      body: content.toString(),
      error: properties.headers?.['x-error'] as unknown,
    }));
  }

  duplicate(): void {
    this.#world.broker.duplicate();
  }
}
