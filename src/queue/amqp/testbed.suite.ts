/** What the tests of RabbitMQ share: handles that clean up after themselves, and ways to do harm. */
import { once } from 'node:events';
import net from 'node:net';
import { inspect } from 'node:util';
import { connect } from 'amqplib';
import type { ConfirmChannel, ConsumeMessage } from 'amqplib';
import { expect, inject, onTestFinished } from 'vitest';
import { freePorts } from '../../cli/broker/ports.ts';
import { QueueError } from '../queue.ts';
import { openAmqp } from './open.ts';
import type { Amqp, AmqpOptions } from './open.ts';

export const silent = { info: () => {}, warn: () => {}, error: () => {} };
let prefixes = 0;
export const freshPrefix = () => `amqp-test-${process.pid}-${(prefixes += 1)}`;

export const sweep = async (options: AmqpOptions) => {
  const amqp = openAmqp(options);
  await amqp.remove();
  await amqp.queue.close();
};

/** A queue of this test's own on the shared broker. */
export const open = (options: Partial<AmqpOptions> = {}): Amqp => {
  const all = {
    url: inject('amqpUrl'),
    log: silent,
    prefix: freshPrefix(),
    lap: 300,
    patience: 5_000,
    ...options,
  };
  const amqp = openAmqp(all);
  onTestFinished(async () => {
    await amqp.queue.close();
    await sweep({ ...all, url: inject('amqpUrl'), patience: 10_000 });
  });
  return amqp;
};

/** What others do to the broker behind our back. */
export const rawChannel = async (url = inject('amqpUrl')): Promise<ConfirmChannel> => {
  const connection = await connect(url, { noDelay: true });
  connection.on('error', () => {});
  onTestFinished(() => connection.close().catch(() => {}));
  return connection.createConfirmChannel();
};

/** A queue that takes nothing gets what goes to the exchange, so that every message is nacked. Returns what ends it. */
export const refuseAll = async (exchange: string): Promise<() => Promise<void>> => {
  const channel = await rawChannel();
  const full = `${exchange}.full`;
  await channel.assertQueue(full, {
    exclusive: true,
    arguments: { 'x-max-length': 1, 'x-overflow': 'reject-publish' },
  });
  channel.sendToQueue(full, Buffer.from('first'));
  await channel.waitForConfirms();
  await channel.bindQueue(full, exchange, '#');
  return async () => void (await channel.deleteQueue(full));
};

export const failure = async (work: Promise<unknown>): Promise<QueueError> => {
  const error: unknown = await work.then(
    () => new Error('it succeeded'),
    (reason: unknown) => reason,
  );
  if (!(error instanceof QueueError)) throw new Error('not a QueueError', { cause: error });
  return error;
};

export const expectOneLine = (error: QueueError) => {
  expect(error.message).not.toMatch(/[\n\r]/);
  expect(inspect(error, { depth: Infinity, showHidden: true })).not.toContain('s3cret');
};

export const changed = (change: (url: URL) => void, from = inject('amqpUrl')): string => {
  const url = new URL(from);
  change(url);
  return url.href;
};

/** Not by `get`, which a queue with a single active consumer refuses. */
export const firstOf = async (channel: ConfirmChannel, queue: string): Promise<ConsumeMessage> => {
  const { promise, resolve } = Promise.withResolvers<ConsumeMessage>();
  await channel.consume(queue, (message) => message && resolve(message));
  return promise;
};

/**
 * Stands between us and the broker. The first connections are cut when the broker has said so many bytes,
 * those after them live.
 */
export const startProxy = async (cutAfter: number[] = []) => {
  const broker = new URL(inject('amqpUrl'));
  const pairs = new Set<{ client: net.Socket; server: net.Socket }>();
  const proxy = net.createServer((client) => {
    const server = net.connect({ host: broker.hostname, port: Number(broker.port) });
    const pair = { client, server };
    pairs.add(pair);
    for (const socket of [client, server]) {
      socket.on('error', () => {});
      socket.once('close', () => {
        client.destroy();
        server.destroy();
        pairs.delete(pair);
      });
    }
    client.pipe(server);
    server.pipe(client);
    let left = cutAfter.shift() ?? Infinity;
    server.on('data', ({ length }: Buffer) => {
      left -= length;
      if (left <= 0) server.destroy();
    });
  });
  const [port] = await freePorts(1);
  proxy.listen(port, '127.0.0.1');
  await once(proxy, 'listening');
  const cut = () => {
    for (const { client, server } of pairs) for (const socket of [client, server]) socket.destroy();
  };
  onTestFinished(() => {
    cut();
    proxy.close();
  });
  return {
    url: changed((url) => (url.port = String(port))),
    cut,
    /** Nothing of what the broker says comes through any more. */
    mute: () => {
      for (const { server, client } of pairs) {
        server.unpipe(client);
        server.resume();
      }
    },
    /** Resolves when something more has gone to the broker. */
    sent: () => Promise.race([...pairs].map(({ client }) => once(client, 'data'))),
  };
};
