import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import * as amqp from 'amqplib';
import { expect, inject, test } from 'vitest';
import { startBroker } from '../src/cli/broker/broker.ts';
import { tempDir } from './harness/tmp.ts';

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

test('what a test started ends with it, even after SIGKILL', async () => {
  const folder = tempDir();
  const watchdog = pathToFileURL(path.join(import.meta.dirname, '../src/cli/broker/watchdog.ts')).href;
  const script = `
    import { spawn } from 'node:child_process';
    import { guard } from '${watchdog}';
    const options = { detached: true, stdio: 'inherit' };
    guard([-spawn('sleep', ['600'], options).pid, spawn('sleep', ['600'], options).pid], '${folder}');
    console.log('started');
    setInterval(() => {}, 1000);
  `;
  const parent = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(parent.stdout, 'data');
  parent.kill('SIGKILL');
  // The pipe closes when the last that holds it, a child of the child, is gone.
  await once(parent, 'close');
  await expect.poll(() => existsSync(folder)).toBe(false);
});
