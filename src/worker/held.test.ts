import { setup } from 'xstate';
import { expect, test, vi } from 'vitest';
import { z } from 'zod';
import { start } from '../engine/interpreter.ts';
import { createRegistry } from '../machines/registry.ts';
import { Calls } from './calls.ts';
import { Held } from './held.ts';
import { eventLoop } from './scheduler.ts';

const hour = 3_600_000;

const resting = {
  machine: setup({ delays: { shortly: () => 5000 } }).createMachine({
    id: 'resting',
    version: '1',
    initial: 'resting',
    states: { resting: { after: { shortly: 'done' } }, done: { type: 'final' } },
  }),
  input: z.object({}),
};

test.each([
  ['has gone on', -2000, 3000],
  ['was set back by an hour', hour, 5000],
])('a run that is resumed when the clock %s waits no longer than it was to', (_, back, wait) => {
  const now = Date.UTC(2026, 0, 1);
  const clock = { now: () => now, random: () => 0.5 };
  const machine = createRegistry([resting]).resolve('resting')!;
  const { run } = start(machine, 'a', {}, clock);
  const after = vi.fn<typeof eventLoop.after>(() => () => {});
  const scheduler = { ...eventLoop, after };
  const log = { debug() {}, info() {}, warn() {}, error() {} };
  const calls = new Calls({
    concurrency: 1,
    callTimeout: 1000,
    probing: { base: 1, cap: 1 },
    clock,
    scheduler,
    log,
  });
  new Held(machine, run, scheduler).align(calls, now - back, () => {}, false);
  expect(after.mock.calls.map(([ms]) => ms)).toEqual([wait]);
});
