/** Brokers whose queues are classic: because they have no others, or because somebody made them so. */
import { afterAll, describe, expect, inject, onTestFinished, test, vi } from 'vitest';
import { startBroker } from '../../cli/broker/broker.ts';
import { idOf, inbox, publish } from '../inbox.suite.ts';
import { describeQueue } from '../queue.suite.ts';
import { openAmqp } from './open.ts';
import type { Amqp, AmqpOptions } from './open.ts';
import { changed, freshPrefix, rawChannel, silent } from './testbed.suite.ts';

/** Up to 3.10 quorum queues can be switched off, as they are in an old cluster that was upgraded. */
const broker = await startBroker({ env: { RABBITMQ_FEATURE_FLAGS: '' } });
afterAll(() => broker.dispose());
const always = !/quorum_queue\s+disabled/.test(await broker.ctl('list_feature_flags'));

const open = (options: Partial<AmqpOptions> = {}): Amqp => {
  const amqp = openAmqp({ url: broker.url, log: silent, lap: 300, prefix: freshPrefix(), ...options });
  onTestFinished(() => amqp.queue.close());
  return amqp;
};

describe.skipIf(always)('a RabbitMQ', () => {
  describeQueue('RabbitMQ without quorum queues', {
    open: async () => {
      const options = { url: broker.url, log: silent, prefix: freshPrefix(), lap: 300 };
      const handles = [openAmqp(options)];
      return {
        waitsInHand: true,
        queue: handles[0]!.queue,
        lap: options.lap,
        another: async () => {
          handles.push(openAmqp(options));
          return handles.at(-1)!.queue;
        },
        cleanup: async () => {
          await Promise.all(handles.map(({ queue }) => queue.close()));
        },
      };
    },
  });
});

/** A queue that an operator made with what seemed good to them. */
const makeClassic = async ({ topology }: Amqp, url = broker.url): Promise<void> => {
  const channel = await rawChannel(url);
  const args = { 'x-max-length': 100_000, 'x-message-ttl': 86_400_000, 'x-single-active-consumer': true };
  await channel.assertQueue(topology.runs, { arguments: args });
};

/** Publishes, hands back, and says how the message came again. */
const lapOf = async ({ queue }: Amqp) => {
  await publish(queue, 'a');
  const { next, losses } = inbox(queue);
  (await next()).later();
  const again = await next();
  again.ack();
  return { id: idOf(again), losses };
};

describe.skipIf(always)('a broker that has no quorum queues', () => {
  test('gets classic ones, and is told of once', async () => {
    const warn = vi.fn<(details: object, message: string) => void>();
    const amqp = open({ log: { ...silent, warn } });
    expect(await lapOf(amqp)).toEqual({ id: 'a', losses: [] });
    const { runs, waiting, dead, alerts } = amqp.topology;
    expect(amqp.declaration.classic).toEqual([runs, waiting, dead, alerts]);
    const told = warn.mock.calls.filter(([, message]) => message.startsWith('classic queues'));
    expect(told).toHaveLength(1);
  });

  test('those that wait take nobody’s place', async () => {
    const { queue } = open({ lap: 60_000 });
    for (let index = 0; index < 50; index += 1) await publish(queue, `long-${index}`);
    const { received } = inbox(queue, { prefetch: 10, handle: (delivery) => delivery.later() });
    await vi.waitFor(() => expect(received).toHaveLength(50), 5_000);
    await publish(queue, 'new');
    await vi.waitFor(() => expect(idOf(received.at(-1)!)).toBe('new'), 5_000);
  });

  test('no more are handed out than there are places, however many wait', async () => {
    const { queue } = open({ lap: 60_000 });
    for (let index = 0; index < 20; index += 1) await publish(queue, `run-${index}`);
    const { received } = inbox(queue, { prefetch: 5 });
    await vi.waitFor(() => expect(received).toHaveLength(5), 5_000);
    for (const delivery of received.slice(0, 3)) delivery.later();
    await vi.waitFor(() => expect(received).toHaveLength(8), 5_000);
    // What comes next has been asked for after the three, and so would a ninth have been.
    received[3]!.ack();
    await vi.waitFor(() => expect(received).toHaveLength(9), 5_000);
    expect(await queue.depth()).toEqual({ ready: 11, waiting: 0, dead: 0 });
  });

  test('a broker that is killed while messages wait gives back every one of them', async () => {
    const count = 200;
    const { queue } = open({ lap: 60_000, patience: 30_000 });
    const ids = Array.from({ length: count }, (_, index) => `run-${index}`);
    await Promise.all(ids.map((id) => publish(queue, id)));
    const handed = inbox(queue, { prefetch: count, handle: (delivery) => delivery.later() });
    await vi.waitFor(() => expect(handed.received).toHaveLength(count), 5_000);
    await broker.kill();
    await broker.start();
    await vi.waitFor(
      () => expect(new Set(handed.received.slice(count).map(idOf))).toEqual(new Set(ids)),
      20_000,
    );
  });
});

describe('a queue that an operator made as a classic one', () => {
  test('serves a user who may declare, and the others are quorum queues', async () => {
    const amqp = open({ url: inject('amqpUrl') });
    onTestFinished(() => amqp.remove());
    await makeClassic(amqp, inject('amqpUrl'));
    expect(await lapOf(amqp)).toEqual({ id: 'a', losses: [] });
    expect(amqp.declaration.classic).toEqual([amqp.topology.runs]);
  });

  test('cannot be the one where messages wait, beside a quorum queue: until it is deleted nothing comes', async () => {
    const error = vi.fn<(details: object, message: string) => void>();
    const amqp = open({ url: inject('amqpUrl'), log: { ...silent, error } });
    onTestFinished(() => amqp.remove());
    const channel = await rawChannel(inject('amqpUrl'));
    const { waiting, back } = amqp.topology;
    const args = { 'x-message-ttl': 300, 'x-dead-letter-exchange': back };
    await channel.assertQueue(waiting, { arguments: args });
    const lap = lapOf(amqp);
    await vi.waitFor(() => expect(error).toHaveBeenCalled(), 5_000);
    expect(error.mock.lastCall?.[1]).toContain(`delete ${waiting} once it is empty`);
    await channel.deleteQueue(waiting, { ifEmpty: true });
    expect(await lap).toEqual({ id: 'a', losses: [] });
    expect(amqp.declaration.classic).toEqual([]);
  });

  test.skipIf(always)(
    'serves a user who may not declare, who learns of it when a message comes again',
    async () => {
      const admin = open();
      await admin.queue.depth(); // no quorum queues here
      const prefix = admin.topology.runs.replace('.runs', '');
      const amqp = open({ prefix, url: await asUser('worker') });
      const { id, losses } = await lapOf(amqp);
      expect(id).toBe('a');
      expect(losses).toHaveLength(1); // its channel is built again, with a limit that can be moved
      expect(amqp.declaration.classic).toEqual([amqp.topology.runs]);
    },
  );
});

/** A user who may read and write everything, and declare nothing. */
const asUser = async (name: string): Promise<string> => {
  await broker.ctl('add_user', name, 's3cret');
  await broker.ctl('set_permissions', name, '^$', '.*', '.*');
  return changed((url) => {
    url.username = name;
    url.password = 's3cret';
  }, broker.url);
};
