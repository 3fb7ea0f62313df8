import { expect, test, vi } from 'vitest';
import type { WorkerStore } from '../store/store.ts';
import { eventLoop } from './scheduler.ts';
import { Tenure } from './tenure.ts';

test('however often others change the store, what a tick does is done once in its time', async () => {
  let now = 0;
  let change = () => {};
  const resume = vi.fn<WorkerStore['resume']>(async () => []);
  const onTick = vi.fn<() => void>();
  const store = {
    join: async () => {},
    renew: async () => ({ held: true, evicted: [] }),
    resume,
    watch: (onChange: () => void) => {
      change = onChange;
      return { close() {} };
    },
  } as Partial<WorkerStore> as WorkerStore;
  const log = { debug() {}, info() {}, warn() {}, error() {} };
  const scheduler = { ...eventLoop, monotonic: () => now };
  const ignored = { onResumed() {}, onEvicted() {}, onLost() {}, onGone() {}, room: () => Infinity };
  const settled = async () => {};
  const tenure = new Tenure({ ...ignored, store, worker: 'w', refs: [], log, scheduler, onTick, settled });
  await tenure.begin();
  const lookAgain = async () => {
    const looks = resume.mock.calls.length;
    change();
    await vi.waitFor(() => expect(resume.mock.calls.length).toBeGreaterThan(looks), { interval: 5 });
  };
  for (let look = 0; look < 4; look++) await lookAgain();
  expect(onTick).toHaveBeenCalledTimes(1);
  now += 1000;
  await lookAgain();
  expect(onTick).toHaveBeenCalledTimes(2);
  await tenure.stop();
});
