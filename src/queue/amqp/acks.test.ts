import type { ConsumeMessage } from 'amqplib';
import { expect, test } from 'vitest';
import { Acks } from './acks.ts';

const message = (deliveryTag: number) => ({ fields: { deliveryTag } }) as ConsumeMessage;

/** Seven messages are in hand. */
const open = () => {
  const frames: string[] = [];
  const acks = new Acks(({ fields }, allUpTo) =>
    frames.push(`${allUpTo ? 'up to ' : ''}${fields.deliveryTag}`),
  );
  for (let tag = 1; tag <= 7; tag += 1) acks.take(message(tag));
  /** The frames of one moment. */
  const ack = async (...tags: number[]) => {
    for (const tag of tags) acks.ack(message(tag));
    await Promise.resolve();
    return frames.splice(0);
  };
  return { acks, ack };
};

test('those of one moment go together, in whatever order they come', async () => {
  const { ack } = open();
  expect(await ack(2, 1, 3)).toEqual(['up to 3']);
  expect(await ack(5, 4)).toEqual(['up to 5']);
});

test('what is still in hand is never acked along', async () => {
  const { ack } = open();
  expect(await ack(1, 2, 4, 6)).toEqual(['up to 2', '4', '6']);
  expect(await ack(5)).toEqual(['5']);
  expect(await ack(3)).toEqual(['up to 3']);
  expect(await ack(7)).toEqual(['up to 7']);
});

test('what was settled in another way stands in nobody’s way', async () => {
  const { acks, ack } = open();
  acks.drop(message(1));
  acks.drop(message(3));
  expect(await ack(2, 4)).toEqual(['up to 4']);
});
