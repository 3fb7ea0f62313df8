import { expect, test } from 'vitest';
import { Ramp } from './ramp.ts';

const times = (count: number, work: () => void) => Array.from({ length: count }, work);

test('everything is allowed until there was an outage, whatever fails', () => {
  const ramp = new Ramp(8);
  expect([ramp.failed(0), ramp.failed(0)]).toEqual([true, true]);
  expect(ramp.allowance).toBe(8);
});

test('after an outage each call that succeeds allows one more, up to the limit', () => {
  const ramp = new Ramp(8);
  ramp.restart();
  expect(ramp.allowance).toBe(1);
  times(3, () => ramp.succeeded());
  expect(ramp.allowance).toBe(4);
  times(100, () => ramp.succeeded());
  expect(ramp.allowance).toBe(8);
});

test('the first failure on the way halves it, and from there it grows by one a round', () => {
  const ramp = new Ramp(100);
  ramp.restart();
  times(19, () => ramp.succeeded());
  ramp.failed(ramp.cuts);
  expect(ramp.allowance).toBe(10);
  times(10, () => ramp.succeeded());
  expect(ramp.allowance).toBe(10);
  times(1, () => ramp.succeeded());
  expect(ramp.allowance).toBe(11);
});

test('there is always one', () => {
  const ramp = new Ramp(8);
  ramp.restart();
  times(5, () => ramp.failed(ramp.cuts));
  expect(ramp.allowance).toBe(1);
});

test('calls that were under way together and fail together cut it once', () => {
  const ramp = new Ramp(100);
  ramp.restart();
  times(39, () => ramp.succeeded());
  const { cuts } = ramp;
  expect(times(10, () => ramp.failed(cuts)).filter(Boolean)).toHaveLength(1);
  expect(ramp.allowance).toBe(20);
});
