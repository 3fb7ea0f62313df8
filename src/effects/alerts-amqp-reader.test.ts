import { expect, inject, onTestFinished, test, vi } from 'vitest';
import { openAmqp } from '../queue/amqp/open.ts';
import { sendAlertByAmqp } from './alert-amqp.ts';
import { followAlerts, peekAlerts } from './alerts-amqp-reader.ts';
import type { PublishedAlert } from './alerts-amqp-reader.ts';

const log = { info() {}, warn() {}, error() {} };
let prefixes = 0;

const open = () => {
  const url = inject('amqpUrl');
  const amqp = openAmqp({ url, prefix: `alerts-test-${process.pid}-${(prefixes += 1)}`, log });
  onTestFinished(async () => {
    await amqp.remove();
    await amqp.queue.close();
  });
  const send = (id: string) => {
    const alert = { type: 'todo.added', subject: id, time: '2026-11-23T12:00:00Z', data: {} };
    const call = { key: `${id}/sendAlert`, attempt: 1, signal: new AbortController().signal };
    return sendAlertByAmqp(amqp.publisher, amqp.topology).perform(alert, call);
  };
  return { url, amqp, send };
};

const keys = (alerts: readonly PublishedAlert[]) => alerts.map(({ key }) => key).toSorted();

test('looking at the alerts takes nothing away', async () => {
  const { amqp, send } = open();
  for (const id of ['one', 'two', 'three']) await send(id);
  const look = () => peekAlerts(amqp.publisher, amqp.topology, 10);
  expect(keys((await look()).alerts)).toEqual(['one/sendAlert', 'three/sendAlert', 'two/sendAlert']);
  await vi.waitFor(async () => expect((await look()).alerts).toHaveLength(3));
  expect(JSON.parse((await look()).alerts[0]!.body.toString())).toMatchObject({
    specversion: '1.0',
    type: 'todo.added',
  });
});

test('a limit is kept, and tells that there are more', async () => {
  const { amqp, send } = open();
  for (const id of ['one', 'two', 'three']) await send(id);
  expect(await peekAlerts(amqp.publisher, amqp.topology, 2)).toMatchObject({
    alerts: [{}, {}],
    hasMore: true,
  });
  await vi.waitFor(async () =>
    expect(await peekAlerts(amqp.publisher, amqp.topology, 3)).toMatchObject({
      alerts: [{}, {}, {}],
      hasMore: false,
    }),
  );
});

test('who follows gets each alert from then on, and others still get theirs', async () => {
  const { url, amqp, send } = open();
  await send('before');
  const seen: PublishedAlert[] = [];
  const following = followAlerts({
    url,
    tls: undefined,
    log,
    declaration: amqp.declaration,
    onAlert: (alert) => seen.push(alert),
  });
  await following.ready;
  await send('after');
  await vi.waitFor(() => expect(keys(seen)).toEqual(['after/sendAlert']));
  await following.close();
  expect(keys((await peekAlerts(amqp.publisher, amqp.topology, 10)).alerts)).toEqual([
    'after/sendAlert',
    'before/sendAlert',
  ]);
});

test('who may not enter is told so at once', async () => {
  const { url, amqp } = open();
  const following = followAlerts({
    url: url.replace(/\/\/.*@/, '//guest:wrong@'),
    tls: undefined,
    log,
    declaration: amqp.declaration,
    onAlert: () => {},
  });
  await expect(following.ready).rejects.toMatchObject({ kind: 'refused' });
  await following.close();
});
