import { isDeepStrictEqual } from 'node:util';
import { defineBench, inTurn } from './bench.ts';
import type { Bench } from './bench.ts';
import { numbers, rounds, todos, warmup } from './options.ts';
import { bars, plot } from './plot.ts';
import { ratios, spread } from './stats.ts';
import type { Spread } from './stats.ts';
import { openSubject, subjects } from './subject.ts';
import { columns, decimals, range, whole } from './table.ts';
import { measureFlow } from './throughput.ts';
import type { Flow } from './throughput.ts';

type Options = { rounds: number; todos: number; warmup: number; inFlight: number[]; delays: number[] };

const measured = ['floor', 'holdfast', 'embedded'] as const;
type Measured = (typeof measured)[number];

/** One subject on one disk. `delay`: by how many ms each fsync of the worker takes longer. */
type Cell = { readonly name: Measured; readonly inFlight: number; readonly delay: number };

export const slowDiskBench = defineBench<Options, Figures, Options>({
  name: 'slow-disk',
  summary: 'throughput where each fsync of the worker takes longer, as on a cloud volume',
  options: [
    rounds(3),
    numbers('--in-flight <n...>', 'prefetch of the consumers; HTTP connections are half of it', [256, 512]),
    warmup(2000),
    todos(10_000),
    numbers('--delays <ms...>', 'by how much each fsync takes longer, besides not at all', [2, 10]),
  ],
  examples: ['slow-disk', 'slow-disk --delays 1 5 20', 'slow-disk -o json'],
  settings: ({ rounds: n, todos: count, warmup: before, inFlight: most, delays }) => ({
    rounds: n,
    todos: count,
    warmup: before,
    inFlight: most,
    delays,
  }),
  measure: (bench, options) => slowDisk(bench, options),
  words: (settings) => [
    `${settings.rounds} rounds in turn`,
    `${whole(settings.todos)} todos a round after ${whole(settings.warmup)} to warm up`,
    `${settings.inFlight.join(' and ')} in flight`,
  ],
  lines: (figures) => linesOf(figures),
  plot: (figures) => plotOf(figures),
});

const slowDisk = async (bench: Bench, options: Options): Promise<Figures> => {
  const slowSync = bench.openSlowSync();
  const delays = [0, ...options.delays.toSorted((one, other) => one - other)];
  const cells = options.inFlight.flatMap((inFlight) =>
    measured.flatMap((name) => delays.map((delay): Cell => ({ name, inFlight, delay }))),
  );
  const found = new Map(cells.map((cell) => [cell, [] as Flow[]]));
  for (let round = 1; round <= options.rounds; round++) {
    for (const cell of inTurn(cells, round)) {
      const { name, inFlight, delay } = cell;
      const subject = openSubject(name, { ...bench, inFlight, slowSync, syncDelay: delay });
      const flow = await measureFlow(subject, bench, {
        todos: options.todos,
        warmup: options.warmup,
      }).finally(subject.close);
      if (name !== 'floor' && !flow.perTodo['fsyncs'])
        throw new Error(
          'no fsync of the worker was seen: the library was loaded, and SQLite does not use it',
        );
      found.get(cell)!.push(flow);
      bench.progress(
        `slow-disk, round ${round} of ${options.rounds}: ${subjects[name]}, ${inFlight} in flight, ${delay} ms: ${whole(flow.perSecond)}/s`,
      );
    }
  }
  return figuresOf(found);
};

type Row = Cell & {
  readonly perSecond: Spread;
  /** To the same subject without a delay, in the same round. */
  readonly ratioToNoDelay: Spread;
  readonly fsyncsPerTodo: Spread;
};
type Figures = {
  /** At the longest delay, against none, with most in flight; medians. */
  readonly ratioToNoDelay: Record<Measured, number>;
  readonly rows: readonly Row[];
};

const figuresOf = (found: ReadonlyMap<Cell, readonly Flow[]>): Figures => {
  const rates = (wanted: Cell) =>
    [...found].find(([cell]) => isDeepStrictEqual(cell, wanted))![1].map(({ perSecond }) => perSecond);
  const rows = [...found].map(([cell, flows]): Row => ({
    ...cell,
    perSecond: spread(rates(cell)),
    ratioToNoDelay: ratios(rates(cell), rates({ ...cell, delay: 0 })),
    fsyncsPerTodo: spread(flows.map(({ perTodo }) => perTodo['fsyncs']!)),
  }));
  const atLongest = (name: Measured) => rows.findLast((row) => row.name === name)!.ratioToNoDelay.median;
  return {
    ratioToNoDelay: {
      floor: atLongest('floor'),
      holdfast: atLongest('holdfast'),
      embedded: atLongest('embedded'),
    },
    rows,
  };
};

const linesOf = ({ rows }: Figures): string[] => [
  ...columns(
    ['Each fsync takes longer by', 'ms', 'in flight', 'todos/s', 'of none', 'fsyncs a todo'],
    rows.map(({ name, inFlight, delay, perSecond, ratioToNoDelay, fsyncsPerTodo }) => [
      subjects[name],
      whole(delay),
      whole(inFlight),
      range(perSecond, whole),
      range(ratioToNoDelay, decimals(2)),
      range(fsyncsPerTodo, decimals(3)),
    ]),
  ),
  'Medians (min to max), each against the same subject without a delay in the same round. The delay is the worker’s',
  'alone; the broker’s disk is as it is.',
];

const plotOf = ({ rows }: Figures): string =>
  plot('Throughput where each fsync takes longer', [
    bars(
      'todos a second, to the same without a delay',
      rows.map(({ name, inFlight, delay, ratioToNoDelay }) => ({
        label: `${delay} ms, ${subjects[name]}, ${inFlight} in flight`,
        value: ratioToNoDelay,
        isOurs: name !== 'floor',
      })),
      decimals(2),
    ),
  ]);
