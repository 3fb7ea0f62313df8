import { EventEmitter } from 'node:events';
import type { ChannelModel, ConfirmChannel } from 'amqplib';
import { expect, test } from 'vitest';
import { Outlet } from './outlet.ts';

/** A channel whose broker says what the test wants, when it wants it. */
const scripted = () => {
  const confirms: ((nack: unknown) => void)[] = [];
  const state = { hasRoom: true };
  const channel = Object.assign(new EventEmitter(), {
    publish: (
      _exchange: string,
      _key: string,
      _body: Buffer,
      _options: object,
      confirm: (nack: unknown) => void,
    ) => {
      confirms.push(confirm);
      return state.hasRoom;
    },
  });
  const session = { model: {} as ChannelModel, drop: () => {} };
  const outlet = new Outlet(session, channel as unknown as ConfirmChannel, 'amqp://here/');
  const send = (messageId: string) =>
    outlet
      .send({ exchange: 'events', routingKey: 'a', body: Buffer.alloc(0), properties: { messageId } })
      .then(
        () => 'confirmed',
        ({ kind }: { kind: string }) => kind,
      );
  const giveBack = (messageId: string) =>
    channel.emit('return', { properties: { messageId, headers: undefined } });
  return { outlet, channel, state, confirms, send, giveBack };
};

test('two messages of one id that are returned before either is confirmed are both refused', async () => {
  const { send, giveBack, confirms } = scripted();
  const sent = [send('a'), send('b'), send('a')];
  giveBack('a');
  giveBack('a');
  for (const confirm of confirms) confirm(null);
  expect(await Promise.all(sent)).toEqual(['refused', 'confirmed', 'refused']);
  const again = send('a');
  confirms.at(-1)!(null);
  expect(await again).toBe('confirmed');
});

test('a full channel has room again when it has drained', async () => {
  const { outlet, channel, state, send } = scripted();
  state.hasRoom = false;
  void send('a');
  const order: string[] = [];
  const waiting = outlet.room().then(() => order.push('room'));
  await Promise.resolve();
  order.push('drain');
  channel.emit('drain');
  await waiting;
  expect(order).toEqual(['drain', 'room']);
});

test('of several messages in flight nobody can tell which one the broker closed the channel for', async () => {
  const { channel, send, confirms } = scripted();
  const sent = [send('a'), send('b')];
  channel.emit('error', Object.assign(new Error('access refused'), { code: 403 }));
  for (const confirm of confirms) confirm(new Error('channel closed'));
  const [first] = await Promise.all(sent);
  expect(first).toBe('inDoubt');
});
