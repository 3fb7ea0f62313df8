import { mkdtempSync } from 'node:fs';
import path from 'node:path';
import xstate from 'xstate/package.json' with { type: 'json' };
import { defineBench, inTurn } from './bench.ts';
import type { Bench } from './bench.ts';
import { startChild } from './child.ts';
import { inFlight, rounds, todos, warmup } from './options.ts';
import type { Stage } from './stage.ts';
import { spread } from './stats.ts';
import type { Spread } from './stats.ts';
import { columns, decimals, range, whole } from './table.ts';

type Options = { rounds: number; todos: number; warmup: number; inFlight: number };
type Settings = Options & { readonly xstate: string };

const stages: Record<Stage, string> = {
  xstate: 'XState alone: five transitions',
  engine: 'the engine: records, histories, restarts',
  loop: 'the loop: messages, turns, calls, acks',
  store: 'the loop with its store',
};
const names = Object.keys(stages) as Stage[];

export const cpuBench = defineBench<Options, Figures, Settings>({
  name: 'cpu',
  summary: 'where the CPU time of a todo goes, without a broker and a receiver',
  options: [rounds(5), inFlight, warmup(10_000), todos(30_000)],
  examples: ['cpu', 'cpu --rounds 9', 'cpu -o json'],
  settings: ({ rounds: n, todos: count, warmup: before, inFlight: most }) => ({
    rounds: n,
    todos: count,
    warmup: before,
    inFlight: most,
    xstate: xstate.version,
  }),
  measure: (bench, options) => measure(bench, options),
  words: (settings) => [
    `${settings.rounds} rounds in turn`,
    `${whole(settings.todos)} todos a round after ${whole(settings.warmup)} to warm up`,
    `${settings.inFlight} in flight`,
    `XState ${settings.xstate}`,
  ],
  lines: (figures) => linesOf(figures),
});

const measure = async (bench: Bench, options: Options): Promise<Figures> => {
  const found: Record<Stage, number[]> = { xstate: [], engine: [], loop: [], store: [] };
  for (let round = 1; round <= options.rounds; round++) {
    for (const name of inTurn(names, round)) {
      const us = await measureStage(name, bench, options);
      found[name].push(us);
      bench.progress(`cpu, round ${round} of ${options.rounds}: ${stages[name]}: ${us.toFixed(0)} us`);
    }
  }
  return {
    usPerTodo: {
      xstate: spread(found.xstate),
      engine: spread(found.engine),
      loop: spread(found.loop),
      store: spread(found.store),
    },
  };
};

const measureStage = async (name: Stage, { folder }: Bench, options: Options): Promise<number> => {
  const store = path.join(mkdtempSync(path.join(folder, 'cpu-')), 'bench.db');
  const child = await startChild('stage.ts', [name, store, String(options.inFlight)]);
  await child.ask('measure', options.warmup);
  const us = await child.ask<number>('measure', options.todos);
  await child.stop();
  return us;
};

/** Each stage with all that come before it. */
type Figures = { readonly usPerTodo: Record<Stage, Spread> };

const linesOf = ({ usPerTodo }: Figures): string[] => [
  ...columns(
    ['CPU time of a todo', 'us', 'its own'],
    names.map((name, index) => {
      const before = index === 0 ? 0 : usPerTodo[names[index - 1]!].median;
      return [stages[name], range(usPerTodo[name], decimals(0)), whole(usPerTodo[name].median - before)];
    }),
  ),
  'Medians (min to max) of user and system time, collections included. Each stage is a process of its own and does what those',
  'above it do as well. Beyond these are the sockets, and what goes over them: compare with `throughput`.',
];
