/** What every queue promises. An adapter's test calls `describeQueue`; there is nothing here that only one can pass. */
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { forgettingDeadLetters, keepingDeadLetters } from './dead-letters.suite.ts';
import { idOf, inbox, publish } from './inbox.suite.ts';
import type { Delivery, Queue } from './queue.ts';

export type OpenQueue = {
  readonly queue: Queue;
  /** A second handle on the same queue, as another process would have. */
  readonly another: () => Promise<Queue>;
  /** How long a delivery that is handed back waits, in ms. */
  readonly lap: number;
  /** Deliveries wait in their consumer's hands, where nobody can count them. */
  readonly waitsInHand?: boolean;
  /** Closes every handle and removes what was kept. */
  readonly cleanup: () => Promise<void>;
};

type Open = () => Promise<OpenQueue>;

export const describeQueue = (name: string, adapter: { open: Open }): void => {
  const open = async () => {
    const opened = await adapter.open();
    onTestFinished(() => opened.cleanup());
    return opened;
  };
  describe(`the queue: ${name}`, () => {
    const parts = {
      handingOut,
      order,
      settling,
      laps,
      comingBack,
      keepingDeadLetters,
      forgettingDeadLetters,
      severalConsumers,
      ending,
    };
    for (const part of Object.values(parts)) part(open);
  });
};

/** Neither UTF-8 nor JSON: a queue does not look inside. */
const bytes = Buffer.from([0x00, 0xff, 0xfe, 0x7b, 0x0a, 0x80]);

const handingOut = (open: Open) => {
  test('a message arrives as it was published, byte for byte', async () => {
    const { queue } = await open();
    await queue.publish({ id: 'run-ä1', machine: 'create-todo@1', body: bytes });
    const { message, redelivered } = await inbox(queue).next();
    expect(message).toEqual({ id: 'run-ä1', machine: 'create-todo@1', body: bytes });
    expect(redelivered).toBe(false);
  });

  test('an empty body arrives empty', async () => {
    const { queue } = await open();
    await queue.publish({ id: 'a', machine: 'create-todo', body: Buffer.alloc(0) });
    expect((await inbox(queue).next()).message).toEqual({
      id: 'a',
      machine: 'create-todo',
      body: Buffer.alloc(0),
    });
  });
};

const order = (open: Open) => {
  test('messages arrive in the order in which they were published', async () => {
    const { queue } = await open();
    const ids = Array.from({ length: 20 }, (_, index) => `run-${index}`);
    for (const id of ids) await publish(queue, id);
    const { next } = inbox(queue, { prefetch: 20 });
    for (const id of ids) expect((await next()).message.id).toBe(id);
  });

  test('a consumer that waits gets a message that another handle publishes', async () => {
    const { queue, another } = await open();
    const { next } = inbox(queue);
    await publish(await another(), 'a');
    expect((await next()).message.id).toBe('a');
  });

  test('no more deliveries are in hand than prefetch allows', async () => {
    const { queue } = await open();
    for (const id of ['a', 'b', 'c']) await publish(queue, id);
    const { next, received } = inbox(queue, { prefetch: 2 });
    const first = await next();
    await next();
    await vi.waitFor(async () => expect((await queue.depth()).ready).toBe(1));
    expect(received).toHaveLength(2);
    first.ack();
    expect((await next()).message.id).toBe('c');
  });

  test('depth counts what is ready, what waits and what is dead', async () => {
    const { queue, waitsInHand } = await open();
    const waiting = waitsInHand ? 0 : 1;
    expect(await queue.depth()).toEqual({ ready: 0, waiting: 0, dead: 0 });
    for (const id of ['a', 'b', 'c', 'd']) await publish(queue, id);
    await vi.waitFor(async () => expect(await queue.depth()).toEqual({ ready: 4, waiting: 0, dead: 0 }));
    const { next, consumer } = inbox(queue, { prefetch: 2 });
    const [first, second] = [await next(), await next()];
    await consumer.stop();
    await first.deadLetter('not JSON');
    second.later();
    await vi.waitFor(async () => expect(await queue.depth()).toEqual({ ready: 2, waiting, dead: 1 }));
  });
};

const settling = (open: Open) => {
  test('what is acked never comes again', async () => {
    const { queue, another } = await open();
    await publish(queue, 'acked');
    (await inbox(queue).next()).ack();
    await queue.close();
    const second = await another();
    await publish(second, 'next');
    expect((await inbox(second).next()).message.id).toBe('next');
  });

  test('only the first settlement of a delivery counts', async () => {
    const { queue } = await open();
    await publish(queue, 'a');
    const { next, losses } = inbox(queue);
    const delivery = await next();
    delivery.ack();
    delivery.ack();
    delivery.later();
    await delivery.deadLetter('too late');
    await publish(queue, 'b');
    expect((await next()).message.id).toBe('b');
    expect(losses).toHaveLength(0);
    expect(await queue.depth()).toMatchObject({ waiting: 0, dead: 0 });
  });
};

const laps = (open: Open) => {
  test('what is handed back comes back after the lap, not before, and not as redelivered', async () => {
    const { queue, lap } = await open();
    await publish(queue, 'a');
    const { next } = inbox(queue);
    const delivery = await next();
    const start = performance.now();
    delivery.later();
    const { message, redelivered } = await next();
    expect(performance.now() - start).toBeGreaterThanOrEqual(lap * 0.95);
    expect(message).toEqual(delivery.message);
    expect(redelivered).toBe(false);
  });

  test('what is handed back twice is still one message', async () => {
    const { queue } = await open();
    await publish(queue, 'a');
    const { next, received } = inbox(queue);
    (await next()).later();
    (await next()).later();
    (await next()).ack();
    await publish(queue, 'b');
    expect((await next()).message.id).toBe('b');
    expect(received).toHaveLength(4);
  });
};

const comingBack = (open: Open) => {
  test('what was not settled goes to another consumer, as redelivered, when its holder closes', async () => {
    const { queue, another } = await open();
    await publish(queue, 'a');
    await inbox(queue).next();
    await queue.close();
    const { message, redelivered } = await inbox(await another()).next();
    expect(message.id).toBe('a');
    expect(redelivered).toBe(true);
  });

  test('a settlement after close does nothing', async () => {
    const { queue, another } = await open();
    for (const id of ['a', 'b', 'c']) await publish(queue, id);
    const { next } = inbox(queue);
    const [first, second, third] = [await next(), await next(), await next()];
    await queue.close();
    first.ack();
    second.later();
    await third.deadLetter('too late');
    const heir = await another();
    const inherited = inbox(heir);
    const deliveries = [await inherited.next(), await inherited.next(), await inherited.next()];
    expect(deliveries.map(idOf).toSorted()).toEqual(['a', 'b', 'c']);
    expect(await heir.depth()).toMatchObject({ waiting: 0, dead: 0 });
  });
};

const severalConsumers = (open: Open) => {
  test('two consumers handle each message once between them', async () => {
    const { queue, another } = await open();
    const ids = Array.from({ length: 30 }, (_, index) => `run-${index}`);
    const handled: string[] = [];
    const all = Promise.withResolvers<void>();
    const handle = (delivery: Delivery) => {
      handled.push(idOf(delivery));
      delivery.ack();
      if (handled.length >= ids.length) all.resolve();
    };
    inbox(queue, { prefetch: 2, handle });
    inbox(await another(), { prefetch: 2, handle });
    await Promise.all(ids.map((id) => publish(queue, id)));
    await all.promise;
    expect(handled.toSorted()).toEqual(ids.toSorted());
    expect((await queue.depth()).ready).toBe(0);
  });

  test('when one goes, the other takes over what it held', async () => {
    const { queue, another } = await open();
    const heir = await another();
    for (const id of ['a', 'b']) await publish(queue, id);
    const first = inbox(queue);
    await Promise.all([first.next(), first.next()]);
    const second = inbox(heir);
    await queue.close();
    const deliveries = [await second.next(), await second.next()];
    expect(deliveries.map(idOf).toSorted()).toEqual(['a', 'b']);
    expect(deliveries.map(({ redelivered }) => redelivered)).toEqual([true, true]);
  });
};

const ending = (open: Open) => {
  test('a consumer that has stopped gets nothing more, and can still settle what it holds', async () => {
    const { queue, another } = await open();
    await publish(queue, 'a');
    const { next, received, consumer } = inbox(queue);
    const delivery = await next();
    await consumer.stop();
    await publish(queue, 'b');
    const successor = inbox(await another());
    expect((await successor.next()).message.id).toBe('b');
    delivery.ack();
    await queue.close();
    await publish(await another(), 'c');
    expect((await successor.next()).message.id).toBe('c');
    expect(received).toHaveLength(1);
  });

  test('the last acks before close are not lost', async () => {
    const { queue, another } = await open();
    const ids = Array.from({ length: 50 }, (_, index) => `run-${index}`);
    await Promise.all(ids.map((id) => publish(queue, id)));
    const { next, consumer } = inbox(queue, { prefetch: 50 });
    const deliveries = await Promise.all(ids.map(next));
    await consumer.stop();
    for (const delivery of deliveries) delivery.ack();
    await queue.close();
    const heir = await another();
    await publish(heir, 'next');
    expect((await inbox(heir).next()).message.id).toBe('next');
  });

  test('stop and close may be called at any time, and twice', async () => {
    const { queue } = await open();
    const early = inbox(queue).consumer;
    await Promise.all([early.stop(), early.stop()]);
    await Promise.all([queue.close(), queue.close()]);
    await expect(Promise.all([early.stop(), queue.close()])).resolves.toBeDefined();
  });
};
