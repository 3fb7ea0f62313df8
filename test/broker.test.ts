import * as amqp from 'amqplib';
import { expect, inject, test } from 'vitest';
import { startBroker } from './harness/broker.ts';

const queue = 'kept';

async function publish(url: string, text: string): Promise<void> {
  const connection = await amqp.connect(url, { noDelay: true });
  const channel = await connection.createConfirmChannel();
  await channel.assertQueue(queue, { durable: true, arguments: { 'x-queue-type': 'quorum' } });
  channel.sendToQueue(queue, Buffer.from(text), { persistent: true });
  await channel.waitForConfirms();
  await connection.close();
}

async function take(url: string): Promise<string | undefined> {
  const connection = await amqp.connect(url, { noDelay: true });
  const channel = await connection.createChannel();
  const first = Promise.withResolvers<string | undefined>();
  await channel.consume(queue, (message) => first.resolve(message?.content.toString()), { noAck: true });
  const text = await first.promise;
  await connection.close();
  return text;
}

test('a confirmed message outlives the death of its broker', { timeout: 120_000 }, async () => {
  await using broker = await startBroker();
  await publish(broker.url, 'hold fast');
  await broker.settle();
  await broker.kill();
  await expect(amqp.connect(broker.url)).rejects.toThrow('ECONNREFUSED');
  await broker.start();
  expect(await take(broker.url)).toBe('hold fast');
});

test(
  'a broker that was stopped in good order comes back with its messages',
  { timeout: 120_000 },
  async () => {
    await using broker = await startBroker();
    await publish(broker.url, 'see you');
    await broker.stop();
    await broker.start();
    expect(await take(broker.url)).toBe('see you');
  },
);

test('brokers that run at the same time share nothing', { timeout: 120_000 }, async () => {
  await using one = await startBroker();
  await using two = await startBroker();
  await publish(one.url, 'for one');
  await publish(two.url, 'for two');
  expect(await take(one.url)).toBe('for one');
  expect(await take(two.url)).toBe('for two');
  expect(one.url).not.toBe(inject('amqpUrl'));
});
