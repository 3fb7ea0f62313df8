import { defineBench, inTurn } from './bench.ts';
import type { Bench } from './bench.ts';
import type { Child } from './child.ts';
import type { AtRest } from './holdfast.ts';
import { makeRuns } from './made.ts';
import type { Made } from './made.ts';
import { inFlight, number, rounds, todos, warmup } from './options.ts';
import { bars, plot } from './plot.ts';
import { ratios, spread } from './stats.ts';
import type { Spread } from './stats.ts';
import { openSubject, subjects } from './subject.ts';
import { columns, decimals, range, whole } from './table.ts';
import { measureFlow } from './throughput.ts';
import type { Flow } from './throughput.ts';

type Options = { rounds: number; todos: number; warmup: number; inFlight: number; waiting: number };

const queues = ['holdfast', 'embedded'] as const;
type QueueName = (typeof queues)[number];

type Round = Flow & AtRest & { readonly laps: number };
type Rounds = Record<QueueName, { none: Round[]; waiting: Round[] }>;

/** After so many seconds the message of a waiting run comes by, and is handed back again. */
const lapSeconds = 300;

export const waitingBench = defineBench<Options, Figures, Options>({
  name: 'waiting',
  summary: 'throughput and memory while many runs wait in backoff',
  options: [
    rounds(3),
    inFlight,
    warmup(4000),
    todos(20_000),
    number('--waiting <n>', 'runs that wait to be tried again', 100_000),
  ],
  examples: ['waiting', 'waiting --waiting 10000', 'waiting -o json'],
  settings: ({ rounds: n, todos: count, warmup: before, inFlight: most, waiting }) => ({
    rounds: n,
    todos: count,
    warmup: before,
    inFlight: most,
    waiting,
  }),
  measure: (bench, options) => measure(bench, options),
  words: (settings) => [
    `${settings.rounds} rounds in turn`,
    `${whole(settings.todos)} todos a round after ${whole(settings.warmup)} to warm up`,
    `${settings.inFlight} in flight`,
    `${whole(settings.waiting)} waiting`,
  ],
  lines: (figures, settings) => linesOf(figures, settings),
  plot: (figures, settings) => plotOf(figures, settings),
});

const measure = async (bench: Bench, options: Options): Promise<Figures> => {
  const made = await makeRuns(bench, options.waiting, 'waiting');
  const found: Rounds = { holdfast: { none: [], waiting: [] }, embedded: { none: [], waiting: [] } };
  for (let round = 1; round <= options.rounds; round++) {
    for (const queue of inTurn(queues, round)) {
      // In the first round without any first: how fast it is then says how many of their messages come by.
      for (const kind of inTurn(['none', 'waiting'] as const, round)) {
        const waiting = kind === 'none' ? undefined : { ...made, laps: lapsOf(found[queue].none, options) };
        const result = await measureRound(queue, bench, options, waiting);
        found[queue][kind].push(result);
        bench.progress(
          `waiting, round ${round} of ${options.rounds}: ${subjects[queue]}, ${kind === 'none' ? 'none wait' : `${whole(options.waiting)} wait`}: ${whole(result.perSecond)}/s`,
        );
      }
    }
  }
  return figuresOf(found, options);
};

/** How many messages of waiting runs come by while the todos are done. */
const lapsOf = (none: readonly Flow[], { waiting, todos: count }: Options): number => {
  const seconds = count / spread(none.map(({ perSecond }) => perSecond)).median;
  return Math.min(waiting, Math.round((waiting / lapSeconds) * seconds));
};

const measureRound = async (
  queue: QueueName,
  bench: Bench,
  options: Options,
  made: (Made & { readonly laps: number }) | undefined,
): Promise<Round> => {
  const subject = openSubject(queue, {
    ...bench,
    ...options,
    template: made?.template,
    execArgv: ['--expose-gc'],
  });
  const waiting = made?.ids.length ?? 0;
  const laps = made?.ids.slice(0, made.laps) ?? [];
  let rest: AtRest | undefined;
  const atRest = async (worker: Child) => void (rest = await worker.ask<AtRest>('rest', waiting));
  const flow = await measureFlow(subject, bench, { ...options, waiting, laps, atRest }).finally(
    subject.close,
  );
  return { ...flow, ...rest!, laps: laps.length };
};

type QueueFigures = {
  readonly perSecondNone: Spread;
  readonly perSecondWaiting: Spread;
  readonly ratioToNone: Spread;
  /** Bytes for each waiting run: of the heap, and of all that the process occupies. */
  readonly heapPerRun: Spread;
  readonly rssPerRun: Spread;
  /** Messages of waiting runs that came by meanwhile. */
  readonly laps: Spread;
};
type Figures = {
  /** Medians, Holdfast on RabbitMQ. */
  readonly ratioToNone: number;
  readonly heapPerRun: number;
  readonly queues: Record<QueueName, QueueFigures>;
};

const figuresOf = (found: Rounds, { waiting: count }: Options): Figures => {
  const of = ({ none, waiting }: { none: Round[]; waiting: Round[] }): QueueFigures => {
    const rate = ({ perSecond }: Flow) => perSecond;
    const each = (bytes: (round: AtRest) => number) =>
      spread(waiting.map((round, index) => (bytes(round) - bytes(none[index]!)) / count));
    return {
      perSecondNone: spread(none.map(rate)),
      perSecondWaiting: spread(waiting.map(rate)),
      ratioToNone: ratios(waiting.map(rate), none.map(rate)),
      heapPerRun: each(({ heap }) => heap),
      rssPerRun: each(({ rss }) => rss),
      laps: spread(waiting.map(({ laps }) => laps)),
    };
  };
  const all = { holdfast: of(found.holdfast), embedded: of(found.embedded) };
  return {
    ratioToNone: all.holdfast.ratioToNone.median,
    heapPerRun: all.holdfast.heapPerRun.median,
    queues: all,
  };
};

const linesOf = ({ queues: found }: Figures, { waiting }: Options): string[] => [
  ...columns(
    ['Waiting', 'todos/s, none', `${whole(waiting)} wait`, 'of none', 'heap bytes a run', 'RSS bytes a run'],
    queues.map((queue) => [
      subjects[queue],
      range(found[queue].perSecondNone, whole),
      range(found[queue].perSecondWaiting, whole),
      range(found[queue].ratioToNone, decimals(2)),
      range(found[queue].heapPerRun, whole),
      range(found[queue].rssPerRun, whole),
    ]),
  ),
  `Medians (min to max), in turn. Between the todos come as many messages of waiting runs as a lap of ${lapSeconds / 60} min brings`,
  `(${queues.map((queue) => whole(found[queue].laps.median)).join(' and ')} a round). Memory is taken when all new todos are done, after a collection, less that of`,
  'a worker that did the same with none waiting.',
];

const plotOf = ({ queues: found }: Figures, { waiting }: Options): string => {
  const rows = (figure: (figures: QueueFigures) => Spread) =>
    queues.map((queue) => ({ label: subjects[queue], value: figure(found[queue]), isOurs: true }));
  return plot(`While ${whole(waiting)} runs wait`, [
    bars(
      'todos a second, to none waiting',
      rows(({ ratioToNone }) => ratioToNone),
      decimals(2),
    ),
    bars(
      'bytes of heap for each of them',
      rows(({ heapPerRun }) => heapPerRun),
      whole,
    ),
  ]);
};
