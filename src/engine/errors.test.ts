import { expect, test } from 'vitest';
import { failure, TransientError } from './errors.ts';

test.each([
  ['an object without a text', Object.create(null), 'an error that has no text'],
  ['nothing', undefined, 'undefined'],
])('%s is a transient failure, too', (_, thrown, message) => {
  expect(failure(thrown)).toEqual({ ok: false, message, permanent: false });
});

test.each([
  [1500, 1500],
  [Infinity, Infinity],
  [NaN, undefined],
  [-1, undefined],
])('a receiver that asks for %s ms is heeded where that is a wait', (retryAfter, heeded) => {
  const { retryAfter: told } = failure(new TransientError('HTTP 429', { retryAfter })) as {
    retryAfter?: number;
  };
  expect(told).toBe(heeded);
});
