import { expect, test } from 'vitest';
import { figuresOf, linesOf } from './report.ts';
import type { Entrant, Round } from './report.ts';

const entrant = (name: string): Entrant => ({
  name,
  title: name,
  kind: 'durable steps',
  durability: 'on disk',
  settings: { worker: { concurrency: 256 } },
  sources: [],
  versions: {},
});

const rounds = (...rates: number[]): Round[] =>
  rates.map((perSecond) => ({
    todos: 100,
    seconds: 100 / perSecond,
    perSecond,
    cpuMs: undefined,
    memory: undefined,
    repeats: 0,
    serverVersion: undefined,
  }));

const figures = figuresOf(
  [entrant('holdfast'), entrant('peer')],
  new Map([
    ['holdfast', rounds(1000, 400, 900)],
    ['peer', rounds(100, 200, 300)],
  ]),
  [{ name: 'gone', title: 'gone', reason: 'no server for this platform' }],
);

test('how many times as fast Holdfast was is asked of each round, not of the medians', () => {
  expect(figures.peers[1]!.holdfastTimes).toEqual({ min: 2, median: 3, max: 10, rounds: [10, 2, 3] });
});

test('a peer that takes no part is named with its reason, and the settings of the others are printed', () => {
  const lines = linesOf(figures);
  expect(lines).toContain('gone takes no part: no server for this platform');
  expect(lines).toContain('  settings  worker (concurrency 256)');
});

test('what the system does not tell is no figure', () => {
  expect(figures.peers[0]!.cpuMsPerTodo).toBeUndefined();
  expect(linesOf(figures)[2]).toContain('–');
});
