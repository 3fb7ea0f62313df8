import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import type { Broker } from '../../cli/broker/broker.ts';
import { startBroker } from '../../cli/broker/broker.ts';
import { idOf, inbox, publish } from '../inbox.suite.ts';
import type { Queue } from '../queue.ts';
import { openAmqp } from './open.ts';
import type { Amqp, AmqpOptions } from './open.ts';
import { changed, expectOneLine, failure, rawChannel, silent } from './testbed.suite.ts';

/** Of its own, because these tests do to it what nobody may do to a shared one. */
let broker: Broker;
beforeAll(async () => {
  broker = await startBroker();
});
afterAll(() => broker.dispose());

const open = (options: Partial<AmqpOptions> = {}): Amqp => {
  const amqp = openAmqp({ url: broker.url, log: silent, lap: 300, ...options });
  onTestFinished(() => amqp.queue.close());
  return amqp;
};

describe('a RabbitMQ in trouble', () => {
  test('a closed connection voids what is in hand, and consumer and publisher come back', async () => {
    const { queue } = open({ prefix: 'closed' });
    await publish(queue, 'a');
    const { next, losses } = inbox(queue);
    const delivery = await next();
    await broker.ctl('close_all_connections', 'a test');
    await vi.waitFor(() => expect(losses).toHaveLength(1));
    delivery.ack();
    const again = await next();
    expect(again).toMatchObject({ redelivered: true, message: { id: 'a' } });
    again.ack();
    await publish(queue, 'b');
    expect((await next()).message.id).toBe('b');
  });

  test('a channel that the broker closes with 406 voids what is in hand, and is built again', async () => {
    await setLimits({ consumer_timeout: 500, channel_tick_interval: 100 });
    onTestFinished(() => setLimits({ consumer_timeout: 1_800_000, channel_tick_interval: 60_000 }));
    const warn = vi.fn<(details: object, message: string) => void>();
    const { queue } = open({ prefix: 'ack-timeout', log: { ...silent, warn } });
    await publish(queue, 'a');
    const { next, losses } = inbox(queue);
    const delivery = await next();
    await vi.waitFor(() => expect(losses).toHaveLength(1), 5_000);
    delivery.ack();
    const again = await next();
    expect(again).toMatchObject({ redelivered: true, message: { id: 'a' } });
    again.ack();
    expect(warn.mock.calls.map(([, message]) => message)).toContainEqual(
      expect.stringMatching(/was lost \(.*timed out/),
    );
  });

  test('the queue where deliveries wait is declared again when it was deleted, and none is lost', async () => {
    await setLimits({ dead_letter_worker_publisher_confirm_timeout: 500 }); // 3 min, unless a test is in a hurry
    const { queue, topology } = open({ prefix: 'deleted', upkeep: 100 });
    await publish(queue, 'a');
    const { next, losses } = inbox(queue);
    const delivery = await next();
    await (await rawChannel(broker.url)).deleteQueue(topology.waiting);
    delivery.later();
    expect((await next()).message.id).toBe('a');
    expect(losses).toEqual([]);
  });

  test('a broker that dies keeps what it confirmed, and consumer and publisher find it again', async () => {
    const { queue } = open({ prefix: 'killed', patience: 30_000 });
    await publish(queue, 'a');
    const { next, losses } = inbox(queue);
    await next();
    await broker.kill();
    await vi.waitFor(() => expect(losses).toHaveLength(1));
    const early = publish(queue, 'b');
    await broker.start();
    await early;
    const ids = [idOf(await next()), idOf(await next())];
    expect(ids.toSorted()).toEqual(['a', 'b']);
  });

  test('a memory alarm makes publishing unavailable and leaves consuming alone, until it is over', async () => {
    const { queue } = open({ prefix: 'alarm', patience: 1_000, confirmTimeout: 300 });
    await publish(queue, 'a');
    const { next } = inbox(queue);
    await next();
    await broker.ctl('set_vm_memory_high_watermark', '0');
    onTestFinished(async () => void (await broker.ctl('set_vm_memory_high_watermark', '0.4')));
    await vi.waitFor(() => publishIsBlocked(queue), 5_000);
    const error = await failure(publish(queue, 'c'));
    expect(error).toMatchObject({ kind: 'unavailable' });
    expect(error.message).toMatch(/takes no messages \(.*\): free memory/);
    expectOneLine(error);
    await broker.ctl('set_vm_memory_high_watermark', '0.4');
    await vi.waitFor(() => publish(queue, 'd'), 5_000);
  });

  test('acks go through while a memory alarm stops publishing', async () => {
    const { queue } = open({ prefix: 'alarm-ack', patience: 1_000, confirmTimeout: 300 });
    for (const id of ['a', 'b']) await publish(queue, id);
    const { next } = inbox(queue, { prefetch: 1 });
    const first = await next();
    await broker.ctl('set_vm_memory_high_watermark', '0');
    onTestFinished(async () => void (await broker.ctl('set_vm_memory_high_watermark', '0.4')));
    await vi.waitFor(() => publishIsBlocked(queue), 5_000);
    first.ack();
    expect((await next()).message.id).toBe('b');
  });
});

describe('a RabbitMQ user with few permissions', () => {
  test('who may not declare works with what is there', async () => {
    await open({ prefix: 'admin' }).queue.depth();
    const { queue } = open({ prefix: 'admin', url: await asUser('worker', '^$', '^admin\\.', '^admin\\.') });
    await publish(queue, 'a');
    const { next } = inbox(queue);
    const delivery = await next();
    delivery.later();
    await (await next()).deadLetter('not JSON');
    const [letter] = await queue.deadLetters.list(1);
    expect(await queue.deadLetters.drop(letter!.id)).toBe(true);
    expect(await queue.depth()).toEqual({ ready: 0, waiting: 0, dead: 0 });
  });

  test('who may not declare is told what is missing', async () => {
    const { queue } = open({
      prefix: 'nothing',
      url: await asUser('early', '^$', '.*', '.*'),
      patience: 60_000,
    });
    const error = await failure(publish(queue, 'a'));
    expect(error).toMatchObject({ kind: 'refused' });
    expect(error.message).toMatch(/^not accepted: something is missing at .*nothing\.submit/);
    expectOneLine(error);
  });

  test('who may not declare is refused while no queue would get the message, and no longer than that', async () => {
    const { topology } = open({ prefix: 'unbound' });
    await open({ prefix: 'unbound' }).queue.depth();
    const { queue } = open({ prefix: 'unbound', url: await asUser('sender', '^$', '.*', '.*') });
    await publish(queue, 'a');
    const channel = await rawChannel(broker.url);
    await channel.unbindQueue(topology.runs, topology.submit, '#');
    const errors = await Promise.all(['b', 'b', 'c'].map((id) => failure(publish(queue, id))));
    expect(errors.map(({ kind }) => kind)).toEqual(['refused', 'refused', 'refused']);
    expect(errors[0]!.message).toContain(topology.submit);
    await channel.bindQueue(topology.runs, topology.submit, '#');
    await publish(queue, 'b');
  });

  test('who may not publish is refused', async () => {
    await open({ prefix: 'read-only' }).queue.depth();
    const { queue } = open({ prefix: 'read-only', url: await asUser('reader', '^$', '^$', '.*') });
    const error = await failure(publish(queue, 'a'));
    expect(error).toMatchObject({ kind: 'refused' });
    expect(error.message).toMatch(/read-only\.submit.*grant the permission/);
    expectOneLine(error);
  });
});

const publishIsBlocked = async (queue: Queue) =>
  expect(await failure(publish(queue, 'probe'))).toMatchObject({ kind: 'unavailable' });

/** A user with these permissions on their virtual host. */
const asUser = async (name: string, ...permissions: [configure: string, write: string, read: string]) => {
  await broker.ctl('add_user', name, 's3cret');
  await broker.ctl('set_permissions', name, ...permissions);
  return changed((url) => {
    url.username = name;
    url.password = 's3cret';
  }, broker.url);
};

/** Limits of the broker, in ms: for channels and queues that are opened from now on. */
const setLimits = async (limits: Record<string, number>) => {
  const calls = Object.entries(limits).map(
    ([name, value]) => `application:set_env(rabbit, ${name}, ${value})`,
  );
  await broker.ctl('eval', `${calls.join(', ')}.`);
};
