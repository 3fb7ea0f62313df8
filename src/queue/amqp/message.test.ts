import { expect, test } from 'vitest';
import { fromDeadLetter } from './message.ts';

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
