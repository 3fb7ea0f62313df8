import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { cannotSucceed, failedAgain } from './retry.ts';
import type { Failure } from './retry.ts';

const policy = { base: 200, cap: 60_000, giveUpAfter: 86_400_000 };
const event = (details: object = {}) => ({
  error: { message: 'away', permanent: false, at: 1000, random: 1, ...details },
});

const failedTimes = (count: number, details: object = {}): Failure => {
  let failure: Failure | null = null;
  for (let time = 0; time < count; time++) failure = failedAgain(policy, failure, event(details));
  return failure!;
};

describe('the backoff', () => {
  test.each([
    [1, 200],
    [2, 400],
    [3, 800],
    [9, 51_200],
    [10, 60_000],
    [2000, 60_000],
  ])('after %i failures is at most %i ms', (count, wait) => expect(failedTimes(count).wait).toBe(wait));

  test('has full jitter: any wait from nothing to the ceiling', () => {
    fc.assert(
      fc.property(
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.integer({ min: 1, max: 200 }),
        (random, count) => {
          const { wait } = failedTimes(count, { random });
          expect(wait).toBeGreaterThanOrEqual(0);
          expect(wait).toBeLessThanOrEqual(Math.min(60_000, 200 * 2 ** (count - 1)));
        },
      ),
    );
    expect(failedTimes(5, { random: 0 }).wait).toBe(0);
  });

  test('is no shorter than a Retry-After, and no Retry-After is longer than the policy', () => {
    expect(failedTimes(1, { retryAfter: 5000, random: 0 }).wait).toBe(5000);
    expect(failedTimes(1, { retryAfter: 1e12 }).wait).toBe(86_400_000);
  });
});

describe('a step gives up', () => {
  const since = failedTimes(3);

  test('at once on a permanent error', () => {
    expect(cannotSucceed(policy, null, event({ permanent: true }))).toBe(true);
    expect(cannotSucceed(policy, null, event())).toBe(false);
  });

  test('when it has been failing for as long as the policy allows, counted from the first failure', () => {
    expect(cannotSucceed(policy, since, event({ at: 1000 + 86_399_999 }))).toBe(false);
    expect(cannotSucceed(policy, since, event({ at: 1000 + 86_400_000 }))).toBe(true);
  });

  test('at the first failure where nothing is to be retried', () => {
    expect(cannotSucceed({ ...policy, giveUpAfter: 0 }, null, event())).toBe(true);
  });
});
