import { expect, test } from 'vitest';
import { verifyAfterPublish } from './verify.ts';

test('an alert is held until what it tells of is seen', async () => {
  let looks = 0;
  expect(await verifyAfterPublish(() => (looks += 1) === 4, { pause: 1 })).toBe('seen');
  expect(looks).toBe(4);
});

test('and no longer than there is patience for', async () => {
  const began = performance.now();
  expect(await verifyAfterPublish(async () => false, { patience: 50, pause: 1 })).toBe('missing');
  expect(performance.now() - began).toBeGreaterThanOrEqual(49);
  expect(performance.now() - began).toBeLessThan(1000);
});

test('a look that fails is not the last one; where none could tell, the error is told', async () => {
  let looks = 0;
  const recovers = () => {
    if ((looks += 1) < 3) throw new Error('locked');
    return true;
  };
  expect(await verifyAfterPublish(recovers, { pause: 1 })).toBe('seen');
  const never = () => Promise.reject(new Error('gone'));
  await expect(verifyAfterPublish(never, { patience: 10, pause: 1 })).rejects.toThrow('gone');
});

test('it is given up by a signal', async () => {
  const giveUp = new AbortController();
  const held = verifyAfterPublish(() => false, { pause: 60_000, patience: 60_000, signal: giveUp.signal });
  giveUp.abort();
  await expect(held).rejects.toThrow('aborted');
});

test('a look that never ends is neither waited for longer than that, nor longer than the signal', async () => {
  const hangs = () => new Promise<boolean>(() => {});
  expect(await verifyAfterPublish(hangs, { patience: 20 })).toBe('missing');
  const giveUp = new AbortController();
  const held = verifyAfterPublish(hangs, { signal: giveUp.signal });
  giveUp.abort();
  await expect(held).rejects.toThrow('aborted');
});
