import { expect, test } from 'vitest';
import { topologyOf } from '../../amqp/topology.ts';
import { fromDeadLetter, toDeadLetter } from './message.ts';

const letterWith = (headers: Record<string, unknown>) =>
  fromDeadLetter({ properties: { headers }, fields: {}, content: Buffer.alloc(0) } as never);

const noTimes: unknown[] = [
  NaN,
  Infinity,
  1e300,
  'soon',
  [0, 0],
  { '!': 'timestamp', value: 1e300 },
  { toString: 1 },
  null,
];

test.each(noTimes.map((time) => [time]))(
  'a dead letter whose time others wrote as %j has none, and can be listed',
  (time) => {
    const { at } = letterWith({ 'x-dead-at': time });
    expect(at).toBe(0);
    expect(letterWith({ 'x-dead-at': 1_000 }).at).toBe(1_000);
  },
);

test('a dead letter leaves behind headers that have no room beside its reason', () => {
  const buried = (size: number) =>
    toDeadLetter(
      topologyOf({}),
      { properties: { headers: { mine: 'x'.repeat(size) } }, fields: {}, content: Buffer.alloc(0) } as never,
      'ü'.repeat(100_000),
      0,
    ).properties.headers;
  expect(buried(10_000)).toHaveProperty('mine');
  expect(buried(60_000)).not.toHaveProperty('mine');
  expect(buried(60_000)).toHaveProperty('x-error');
});
