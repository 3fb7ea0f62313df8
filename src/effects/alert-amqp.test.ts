import { connect } from 'amqplib';
import type { ConsumeMessage } from 'amqplib';
import { expect, inject, onTestFinished, test } from 'vitest';
import { Declaration } from '../amqp/declaration.ts';
import { Publisher } from '../amqp/publisher.ts';
import { remove, topologyOf } from '../amqp/topology.ts';
import type { Topology } from '../amqp/topology.ts';
import { parseAddress } from '../amqp/url.ts';
import { TransientError } from '../engine/errors.ts';
import { refuseAll } from '../queue/amqp/testbed.suite.ts';
import { sendAlertByAmqp } from './alert-amqp.ts';

const log = { info: () => {}, warn: () => {}, error: () => {} };
const alert = {
  type: 'todo.added',
  subject: 't-1',
  time: '2026-11-23T12:00:00.000Z',
  data: { id: 't-1', title: 'Äpfel' },
};
const context = (signal = new AbortController().signal) => ({ key: 't-1/sendAlert', signal });

let prefixes = 0;
const open = () => {
  const topology = topologyOf({ prefix: `alert-test-${process.pid}-${(prefixes += 1)}` });
  const publisher = new Publisher({
    address: parseAddress(inject('amqpUrl')),
    declaration: new Declaration(topology),
    log,
  });
  onTestFinished(async () => {
    await publisher.perform((channel) => remove(channel, topology), { patience: 5_000 });
    await publisher.close();
  });
  return { topology, publisher, call: sendAlertByAmqp(publisher, topology) };
};

const channelTo = async () => {
  const connection = await connect(inject('amqpUrl'), { noDelay: true });
  onTestFinished(() => connection.close());
  return connection.createChannel();
};

const firstAlert = async ({ alerts }: Topology): Promise<ConsumeMessage> => {
  const { promise, resolve } = Promise.withResolvers<ConsumeMessage>();
  const channel = await channelTo();
  await channel.consume(alerts, (message) => message && resolve(message), { noAck: true });
  return promise;
};

const failure = async (work: Promise<unknown>): Promise<TransientError> => {
  const error: unknown = await work.then(
    () => new Error('it succeeded'),
    (reason: unknown) => reason,
  );
  if (!(error instanceof TransientError)) throw new Error('not a TransientError', { cause: error });
  return error;
};

test('an alert arrives as a CloudEvent under its key, and its receipt says that it was confirmed', async () => {
  const { topology, call } = open();
  expect(await call.perform(alert, context())).toEqual({ receipt: { confirmed: true } });
  const { fields, properties, content } = await firstAlert(topology);
  expect(fields).toMatchObject({ exchange: topology.events, routingKey: 'todo.added' });
  expect(properties).toMatchObject({
    messageId: 't-1/sendAlert',
    contentType: 'application/cloudevents+json',
    deliveryMode: 2,
  });
  expect(JSON.parse(content.toString())).toEqual({
    specversion: '1.0',
    id: 't-1/sendAlert',
    source: '/holdfast',
    type: 'todo.added',
    subject: 't-1',
    time: '2026-11-23T12:00:00.000Z',
    datacontenttype: 'application/json',
    data: { id: 't-1', title: 'Äpfel' },
  });
});

test('an alert whose queue was deleted is sent all the same: the queue is declared again', async () => {
  const { topology, call } = open();
  await call.perform(alert, context());
  await (await channelTo()).deleteQueue(topology.alerts);
  expect(await call.perform(alert, context())).toEqual({ receipt: { confirmed: true } });
  expect((await firstAlert(topology)).properties.messageId).toBe('t-1/sendAlert');
});

test('an alert that no queue takes may pass later', async () => {
  const { topology, call } = open();
  await call.perform(alert, context());
  await refuseAll(topology.events);
  const error = await failure(call.perform(alert, context()));
  expect(error.message).toMatch(/did not take the message/);
});

test('an alert gives up when its attempt is over, and is not sent afterwards', async () => {
  const { topology, publisher, call } = open();
  const controller = new AbortController();
  const whileConnecting = failure(call.perform(alert, context(controller.signal)));
  controller.abort();
  await whileConnecting;
  await publisher.server({ patience: 5_000 });
  await failure(call.perform(alert, context(controller.signal)));
  await call.perform(alert, { ...context(), key: 'the next one' });
  expect((await firstAlert(topology)).properties.messageId).toBe('the next one');
});

test('a broker that is away may come back', async () => {
  const topology = topologyOf({});
  const publisher = new Publisher({
    address: parseAddress('amqp://me:s3cret@127.0.0.1:1'),
    declaration: new Declaration(topology),
    log,
  });
  onTestFinished(() => publisher.close());
  const call = sendAlertByAmqp(publisher, topology);
  const error = await failure(call.perform(alert, context()));
  expect(error.message).toMatch(/cannot be reached/);
  expect(error.message).not.toContain('s3cret');
});
