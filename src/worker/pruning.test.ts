import { expect, test, vi } from 'vitest';
import type { Queue } from '../queue/queue.ts';
import type { WorkerStore } from '../store/store.ts';
import { Pruning } from './pruning.ts';

const log = { debug() {}, info() {}, warn() {}, error() {} };
const now = Date.UTC(2026, 10, 25);
const day = 86_400_000;

/** A store that has `old` runs to forget, beside a queue of which a test says how many messages are ready. */
const begin = (old: number, keep = 30 * day) => {
  const state = { old, ready: 0, elapsed: 0 };
  const pauses: (() => void)[] = [];
  const scheduler = {
    monotonic: () => state.elapsed,
    after: (_ms: number, ring: () => void) => {
      pauses.push(ring);
      return () => {};
    },
    soon: setImmediate,
  };
  const prune = vi.fn<WorkerStore['prune']>(async (_, limit) => {
    const count = Math.min(limit, state.old);
    state.old -= count;
    return count;
  });
  const depth = vi.fn<Queue['depth']>(async () => ({ ready: state.ready, waiting: 0, dead: 0 }));
  const clock = { now: () => now, random: () => 0.5 };
  const pruning = new Pruning({ store: { prune }, queue: { depth }, clock, scheduler, log, keep });
  const answered = () => new Promise<void>((resolve) => void setImmediate(resolve));
  const tick = async () => {
    pruning.tick();
    await answered();
  };
  /** The pause before a batch ends. */
  const pass = async () => {
    pauses.shift()!();
    await answered();
  };
  return { state, pauses, pruning, prune, depth, tick, pass, answered };
};

test('old runs are forgotten in batches with a pause before each, done and cancelled ones only', async () => {
  const { state, pauses, prune, tick, pass } = begin(150);
  await tick();
  expect(prune).not.toHaveBeenCalled();
  await pass();
  expect(prune.mock.calls).toEqual([[{ before: now - 30 * day, statuses: ['done', 'cancelled'] }, 100]]);
  expect(state.old).toBe(50);
  await pass();
  expect([state.old, pauses.length]).toEqual([0, 0]);
});

test('when none is left, none is looked for until a minute has gone by', async () => {
  const { state, depth, tick, pass } = begin(0);
  await tick();
  await pass();
  state.elapsed += 59_999;
  await tick();
  expect(depth).toHaveBeenCalledTimes(1);
  state.elapsed += 1;
  await tick();
  expect(depth).toHaveBeenCalledTimes(2);
});

test('nothing is forgotten while a message is ready: it may be of a run that is final', async () => {
  const { state, pauses, tick } = begin(1);
  state.ready = 1;
  await tick();
  expect(pauses).toEqual([]);
  state.ready = 0;
  await tick();
  expect(pauses).toHaveLength(1);
});

test('a tick amid a row of batches begins no other, and after a long row the queue is asked again', async () => {
  const { state, pauses, depth, tick, pass } = begin(10_000);
  for (let row = 1; row <= 2; row++) {
    await tick();
    while (pauses.length > 0) {
      await tick();
      await pass();
    }
    expect([depth.mock.calls.length, state.old]).toEqual([row, 10_000 - row * 2000]);
  }
});

test('nothing is asked of the store once it has stopped', async () => {
  const { pruning, prune, tick, pass } = begin(10_000);
  await tick();
  const stopped = pruning.stop();
  await pass();
  await stopped;
  expect(prune).toHaveBeenCalledTimes(1);
  await tick();
  expect(prune).toHaveBeenCalledTimes(1);
});

test('a queue that does not answer is not waited for, and what it answers in the end changes nothing', async () => {
  const { pauses, pruning, depth, tick, answered } = begin(1);
  const answer = Promise.withResolvers<Awaited<ReturnType<Queue['depth']>>>();
  depth.mockReturnValueOnce(answer.promise);
  await tick();
  await pruning.stop();
  answer.resolve({ ready: 0, waiting: 0, dead: 0 });
  await answered();
  expect(pauses).toEqual([]);
});

test('a queue or a store that refuses is asked again at the next tick', async () => {
  const { state, prune, depth, tick, pass } = begin(5);
  depth.mockRejectedValueOnce(new Error('no connection'));
  prune.mockRejectedValueOnce(new Error('the disk is full'));
  await tick();
  await tick();
  await pass();
  await tick();
  await pass();
  expect(state.old).toBe(0);
});

test('runs that are kept for ever are not looked for', async () => {
  const { depth, tick } = begin(5, Infinity);
  await tick();
  expect(depth).not.toHaveBeenCalled();
});
