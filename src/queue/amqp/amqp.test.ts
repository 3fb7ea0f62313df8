import { once } from 'node:events';
import net from 'node:net';
import { describe, expect, inject, onTestFinished, test, vi } from 'vitest';
import { freePorts } from '../../cli/broker/ports.ts';
import { idOf, inbox, publish } from '../inbox.suite.ts';
import type { Queue } from '../queue.ts';
import { QueueError } from '../queue.ts';
import { describeQueue } from '../queue.suite.ts';
import { openAmqp } from './open.ts';
import {
  changed,
  expectOneLine,
  failure,
  firstOf,
  freshPrefix,
  open,
  rawChannel,
  refuseAll,
  silent,
  startProxy,
  sweep,
} from './testbed.suite.ts';

describeQueue('RabbitMQ', {
  open: async () => {
    const options = { url: inject('amqpUrl'), log: silent, prefix: freshPrefix(), lap: 300 };
    const handles = [openAmqp(options)];
    return {
      queue: handles[0]!.queue,
      lap: options.lap,
      another: async () => {
        handles.push(openAmqp(options));
        return handles.at(-1)!.queue;
      },
      cleanup: async () => {
        await Promise.all(handles.map(({ queue }) => queue.close()));
        await sweep(options);
      },
    };
  },
});

describe('publishing to RabbitMQ', () => {
  test('messages that no queue would get are taken: what is missing is declared again', async () => {
    const { queue, topology } = open();
    await publish(queue, 'a');
    const channel = await rawChannel();
    await channel.unbindQueue(topology.runs, topology.submit, '#');
    await channel.deleteQueue(topology.waiting);
    await Promise.all(['b', 'b', 'c'].map((id) => publish(queue, id)));
    expect(await queue.depth()).toEqual({ ready: 4, waiting: 0, dead: 0 });
  });

  test('a message that a full queue does not take is unavailable, and the next one is taken', async () => {
    const { queue, topology } = open();
    await queue.depth();
    const takeAgain = await refuseAll(topology.submit);
    expect(await failure(publish(queue, 'a'))).toMatchObject({ kind: 'unavailable' });
    await takeAgain();
    await publish(queue, 'b');
  });

  test('a hundred nacks in a row bring a new channel', async () => {
    const info = vi.fn<() => void>();
    const { queue, topology } = open({ log: { ...silent, info } });
    await queue.depth();
    const takeAgain = await refuseAll(topology.submit);
    await Promise.all(Array.from({ length: 100 }, (_, index) => failure(publish(queue, `run-${index}`))));
    await takeAgain();
    await vi.waitFor(() => expect(info).toHaveBeenCalledTimes(2));
    await publish(queue, 'b');
  });

  test('ten thousand messages at once are all confirmed', async () => {
    const { queue } = open();
    await Promise.all(Array.from({ length: 10_000 }, (_, index) => publish(queue, `run-${index}`)));
    await vi.waitFor(async () => expect((await queue.depth()).ready).toBe(10_000), 5_000);
  });

  test('a confirm that does not come leaves the message in doubt', async () => {
    const proxy = await startProxy();
    const { queue } = open({ url: proxy.url, confirmTimeout: 200 });
    await publish(queue, 'a');
    proxy.mute();
    expect(await failure(publish(queue, 'b'))).toMatchObject({ kind: 'inDoubt' });
    proxy.cut();
  });

  test('a connection that ends before the confirm leaves the message in doubt', async () => {
    const proxy = await startProxy();
    const { queue } = open({ url: proxy.url });
    await publish(queue, 'a');
    proxy.mute();
    const inDoubt = failure(publish(queue, 'b'));
    await proxy.sent();
    proxy.cut();
    expect(await inDoubt).toMatchObject({ kind: 'inDoubt' });
    await publish(queue, 'c');
  });
});

describe('a set-up of RabbitMQ that is wrong', () => {
  const operations: [string, (queue: Queue) => Promise<unknown>][] = [
    ['publish', (queue) => publish(queue, 'a')],
    ['depth', (queue) => queue.depth()],
    ['list', (queue) => queue.deadLetters.list(1)],
    ['requeue', (queue) => queue.deadLetters.requeue('a')],
  ];

  test.each(operations)('%s with a wrong password is refused at once', async (_, operate) => {
    const { queue } = open({ url: changed((url) => (url.password = 's3cret')), patience: 60_000 });
    const error = await failure(operate(queue));
    expect(error).toMatchObject({ kind: 'refused' });
    expect(error.message).toMatch(
      /^(not accepted: )?RabbitMQ at amqp:\S+ refuses the user name or the password/,
    );
    expectOneLine(error);
    expect(await failure(operate(queue))).toMatchObject({ kind: 'refused' });
  });

  test('an unknown virtual host is refused at once', async () => {
    const { queue } = open({ url: changed((url) => (url.pathname = '/nowhere')), patience: 60_000 });
    const error = await failure(publish(queue, 'a'));
    expect(error).toMatchObject({ kind: 'refused' });
    expect(error.message).toMatch(/nowhere has no such virtual host/);
    expectOneLine(error);
  });

  test('a queue that was declared with other arguments is refused at once', async () => {
    const first = open({ lap: 300 });
    await publish(first.queue, 'a');
    const second = openAmqp({
      url: inject('amqpUrl'),
      log: silent,
      prefix: first.topology.submit.replace('.submit', ''),
      lap: 400,
      patience: 60_000,
    });
    onTestFinished(() => second.queue.close());
    const error = await failure(publish(second.queue, 'b'));
    expect(error).toMatchObject({ kind: 'refused' });
    expect(error.message).toContain(`inequivalent arg 'x-message-ttl' for queue '${first.topology.waiting}'`);
    expectOneLine(error);
  });

  test('a URL that cannot be read is refused without showing it', () => {
    expect(() => openAmqp({ url: 'amqp://me:s3cret@mq:port', log: silent })).toThrow(QueueError);
    expect(() => openAmqp({ url: 'amqp://me:s3cret@mq:port', log: silent })).not.toThrow(/s3cret/);
  });

  test('a consumer says so in one line, however often it tries', async () => {
    const error = vi.fn<(details: object, message: string) => void>();
    const failures = vi.spyOn(net, 'connect');
    onTestFinished(() => failures.mockRestore());
    const { queue } = open({ url: changed((url) => (url.password = 's3cret')), log: { ...silent, error } });
    inbox(queue);
    await vi.waitFor(() => expect(failures.mock.calls.length).toBeGreaterThanOrEqual(4), 10_000);
    expect(error).toHaveBeenCalledTimes(1);
    expect(JSON.stringify(error.mock.calls)).not.toContain('s3cret');
  });
});

describe('a RabbitMQ that cannot be reached', () => {
  test('a closed port is unavailable as soon as patience ends', async () => {
    const [port] = await freePorts(1);
    const { queue } = open({ url: `amqp://me:s3cret@127.0.0.1:${port}`, patience: 300 });
    const start = performance.now();
    const error = await failure(publish(queue, 'a'));
    expect(error).toMatchObject({ kind: 'unavailable' });
    expect(error.message).toContain(`amqp://127.0.0.1:${port}/ cannot be reached`);
    expectOneLine(error);
    expect(performance.now() - start).toBeLessThan(2_000);
  });

  test('a server that accepts and stays silent is unavailable as soon as patience ends', async () => {
    const [port] = await freePorts(1);
    const server = net.createServer(() => {}).listen(port, '127.0.0.1');
    onTestFinished(() => void server.close());
    await once(server, 'listening');
    const { queue } = open({ url: `amqp://127.0.0.1:${port}`, patience: 300 });
    expect(await failure(queue.depth())).toMatchObject({ kind: 'unavailable' });
  });

  test('after close everything is unavailable at once', async () => {
    const { queue } = open({ patience: 60_000 });
    await publish(queue, 'a');
    await queue.close();
    expect(await failure(publish(queue, 'b'))).toMatchObject({ kind: 'unavailable' });
    expect(await failure(queue.depth())).toMatchObject({ kind: 'unavailable' });
  });
});

describe('consuming from RabbitMQ', () => {
  test('a queue that is deleted voids what is in hand, and is built again', async () => {
    const { queue, topology } = open();
    await publish(queue, 'a');
    const { next, losses } = inbox(queue);
    const delivery = await next();
    await (await rawChannel()).deleteQueue(topology.runs);
    await vi.waitFor(() => expect(losses).toHaveLength(1));
    delivery.ack();
    await vi.waitFor(() => publish(queue, 'b'), 5_000);
    expect((await next()).message.id).toBe('b');
    expect(losses).toHaveLength(1);
  });

  test('a connection that is cut voids what is in hand, and its settlement does nothing', async () => {
    const proxy = await startProxy();
    const { queue } = open({ url: proxy.url });
    for (const id of ['a', 'b', 'c']) await publish(queue, id);
    const { next, losses } = inbox(queue);
    const [first, second, third] = [await next(), await next(), await next()];
    proxy.cut();
    await vi.waitFor(() => expect(losses).toHaveLength(1));
    first.ack();
    second.later();
    await third.deadLetter('too late');
    const again = [await next(), await next(), await next()];
    expect(again.map(idOf).toSorted()).toEqual(['a', 'b', 'c']);
    expect(again.map(({ redelivered }) => redelivered)).toEqual([true, true, true]);
    expect(losses).toHaveLength(1);
    expect((await queue.depth()).dead).toBe(0);
  });

  test('a connection that is cut at any moment of its building is tried again', async () => {
    const cutAfter = [100, 530, 560, 600, 650, 700];
    const proxy = await startProxy(cutAfter);
    const { queue } = open({ url: proxy.url, patience: 30_000 });
    const { next } = inbox(queue);
    await publish(queue, 'a');
    expect((await next()).message.id).toBe('a');
    expect(cutAfter).toEqual([]);
  });

  test('a message without a type is for the machine of its routing key', async () => {
    const { queue, topology } = open();
    await queue.depth();
    const channel = await rawChannel();
    channel.publish(topology.submit, 'create-todo', Buffer.from('{}'));
    await channel.waitForConfirms();
    expect((await inbox(queue).next()).message).toMatchObject({ id: undefined, machine: 'create-todo' });
  });
});

describe('the dead letters of RabbitMQ', () => {
  const properties = {
    headers: { traceparent: '00-ab-cd-01', CC: ['other'] },
    type: 'create-todo@1',
    appId: 'shop',
    priority: 3,
    timestamp: 1_700_000_000,
    correlationId: 'c-1',
    expiration: '60000',
    userId: 'guest',
  };

  test.each([0, 1])(
    'a message without an id keeps its properties, dead and requeued, after %i laps',
    async (laps) => {
      const { queue, topology } = open();
      await queue.depth();
      const channel = await rawChannel();
      channel.publish(topology.submit, 'create-todo', Buffer.from('{}'), properties);
      await channel.waitForConfirms();
      const { next, consumer } = inbox(queue);
      for (let lap = 0; lap < laps; lap += 1) (await next()).later();
      await (await next()).deadLetter('it has no id');
      await consumer.stop();
      const [letter] = await queue.deadLetters.list(1);
      expect(letter).toMatchObject({
        error: 'it has no id',
        message: { id: undefined, machine: 'create-todo@1' },
      });
      expect(await queue.deadLetters.requeue(letter!.id)).toBe(true);
      const requeued = await firstOf(channel, topology.runs);
      expect(requeued.fields.routingKey).toBe('create-todo');
      const headers = { ...properties.headers, 'x-dead-letter-id': letter!.id };
      expect(requeued.properties).toMatchObject({
        ...properties,
        deliveryMode: 2,
        expiration: undefined,
        userId: undefined,
      });
      expect(requeued.properties.headers).toEqual(headers);
    },
  );

  test('a message is buried although its headers are as long as headers can be', async () => {
    const { queue, topology } = open();
    await queue.depth();
    const channel = await rawChannel();
    const headers = { mine: 'x'.repeat(64_000) };
    channel.publish(topology.submit, 'create-todo', Buffer.from('?'), { headers });
    await channel.waitForConfirms();
    const { next, consumer } = inbox(queue);
    await (await next()).deadLetter('the input cannot be read'.padEnd(10_000, '!'));
    await consumer.stop();
    expect(await queue.deadLetters.list(1)).toMatchObject([
      { error: expect.stringContaining('cannot be read') },
    ]);
  });

  test('one that cannot be kept is handed back, so that nothing is lost', async () => {
    const { queue, topology } = open();
    await publish(queue, 'a');
    const { next } = inbox(queue);
    const delivery = await next();
    await refuseAll(topology.dead);
    expect(await failure(delivery.deadLetter('not JSON'))).toMatchObject({ kind: 'unavailable' });
    expect((await next()).message.id).toBe('a');
  });

  test('one that cannot be requeued stays', async () => {
    const { queue, topology } = open();
    await publish(queue, 'a');
    const { next } = inbox(queue);
    await (await next()).deadLetter('not JSON');
    const [letter] = await queue.deadLetters.list(1);
    await refuseAll(topology.submit);
    expect(await failure(queue.deadLetters.requeue(letter!.id))).toMatchObject({ kind: 'unavailable' });
    expect(await queue.deadLetters.list(10)).toEqual([letter]);
  });

  test('what others put there is listed and can be dropped', async () => {
    const { queue, topology } = open();
    await queue.depth();
    const channel = await rawChannel();
    channel.sendToQueue(topology.dead, Buffer.from('?'), { messageId: 'theirs' });
    await channel.waitForConfirms();
    expect(await queue.deadLetters.list(10)).toMatchObject([
      { id: 'theirs', error: 'put there by others, without a reason' },
    ]);
    expect(await queue.deadLetters.drop('theirs')).toBe(true);
    expect((await queue.depth()).dead).toBe(0);
  });
});
