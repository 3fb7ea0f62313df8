import { createHistogram } from 'node:perf_hooks';
import type { RecordableHistogram } from 'node:perf_hooks';
import { randomUUIDv7 } from 'node:crypto';
import { setImmediate as immediate, setTimeout as delay } from 'node:timers/promises';
import { arrived, defineBench, inTurn } from './bench.ts';
import type { Bench } from './bench.ts';
import { now } from './clock.ts';
import type { Done } from './done.ts';
import { cpuProf, inFlight, number, numbers, rounds, warmup } from './options.ts';
import type { Arrivals } from './receiver.ts';
import { bars, plot } from './plot.ts';
import { percentile, ratios, spread } from './stats.ts';
import type { Spread } from './stats.ts';
import { fill, openSubject, subjects } from './subject.ts';
import type { Subject } from './subject.ts';
import { columns, decimals, range } from './table.ts';

type Options = {
  rounds: number;
  inFlight: number;
  warmup: number;
  cpuProf?: string;
  /** Todos a second. */
  rates: number[];
  seconds: number;
};
type Settings = Omit<Options, 'cpuProf'>;

const measured = ['floor', 'holdfast'] as const;
type Measured = (typeof measured)[number];

/**
 * An open loop: a todo is sent when it is due, whatever became of those before it, and its time runs from the moment
 * at which it was due. So a worker that stalls cannot hold back the very requests that would have shown it (Gil Tene,
 * "How NOT to Measure Latency").
 */
export const latencyBench = defineBench<Options, Figures, Settings>({
  name: 'latency',
  summary: 'milliseconds from submit to done, in an open loop',
  options: [
    rounds(5),
    inFlight,
    warmup(4000),
    numbers('--rates <n...>', 'todos a second', [10, 50, 200, 1000]),
    number('--seconds <n>', 'how long one round at one rate lasts', 20),
    cpuProf,
  ],
  examples: ['latency', 'latency --rates 50 500 --seconds 60', 'latency -o json'],
  settings: ({ rounds: n, inFlight: most, warmup: before, rates, seconds }) => ({
    rounds: n,
    inFlight: most,
    warmup: before,
    rates,
    seconds,
  }),
  measure: (bench, options) => latency(bench, options),
  words: (settings) => [
    `${settings.rounds} rounds in turn`,
    `${settings.seconds} s at each rate after ${settings.warmup} todos to warm up`,
    `${settings.inFlight} in flight`,
  ],
  lines: (figures) => linesOf(figures),
  plot: (figures) => plotOf(figures),
});

type Cell = { readonly rate: number; readonly name: Measured };

const latency = async (bench: Bench, options: Options): Promise<Figures> => {
  const cells = options.rates.flatMap((rate) => measured.map((name): Cell => ({ rate, name })));
  const found = new Map(cells.map((cell) => [cell, [] as Latencies[]]));
  for (let round = 1; round <= options.rounds; round++) {
    for (const cell of inTurn(cells, round)) {
      const subject = openSubject(cell.name, { ...bench, ...options, noteDone: true });
      const one = { ...options, rate: cell.rate };
      const result = await measureLatency(subject, bench, one).finally(subject.close);
      found.get(cell)!.push(result);
      const { p50, p99 } = percentilesOf(result.done);
      bench.progress(
        `latency, round ${round} of ${options.rounds}: ${subjects[cell.name]} at ${cell.rate}/s p50 ${p50.toFixed(1)} ms, p99 ${p99.toFixed(1)} ms${result.notHeld ? `; not held: ${result.notHeld}` : ''}`,
      );
    }
  }
  return figuresOf(found, options);
};

/** Of one round, in microseconds. */
type Latencies = {
  /** Until the todo is done: its message acked at the floor, its run final and durable in Holdfast. */
  readonly done: RecordableHistogram;
  /** Until its audit entry arrives, which is the last effect. */
  readonly audit: RecordableHistogram;
  /** How late the load generator itself was, in ms. */
  readonly lateP99: number;
  /** Why the rate was not held, where it was not. */
  readonly notHeld: string | undefined;
};

type OneRate = {
  readonly warmup: number;
  readonly rate: number;
  readonly seconds: number;
  /** Runs that were final before. */
  readonly finished?: number;
};

/** Of a subject whose worker notes what is done. */
export const measureLatency = async (
  subject: Subject,
  { receiver }: Bench,
  { warmup: before, rate, seconds, finished = 0 }: OneRate,
): Promise<Latencies> => {
  await fill(subject, before);
  const worker = await subject.start();
  await worker.ask('allDone', before);
  const { due, lateness } = await submitSteadily(subject, rate, seconds);
  const backlog = before + due.size - (await worker.ask<number>('doneSoFar'));
  const total = before + due.size;
  await arrived(receiver, total);
  await worker.ask('allDone', total);
  const { ids, times } = await worker.ask<Done>('takeDone');
  await worker.stop();
  await subject.prove(total, { finished });
  const arrivals = await receiver.ask<Arrivals>('take');
  const runs = arrivals.keys.map((key) => key.replace(/\/sendAudit$/, ''));
  return {
    done: histogramOf(due, ids, times),
    audit: histogramOf(due, runs, arrivals.times),
    lateP99: percentile(lateness, 99),
    notHeld: whyNotHeld(lateness.at(-1)!, backlog, rate),
  };
};

/** What is behind by half a second at the end fell behind all the time, and its percentiles say how long it was watched. */
export const whyNotHeld = (late: number, backlog: number, rate: number): string | undefined => {
  if (late > 500) return `the load generator sent the last one ${Math.round(late)} ms late`;
  if (backlog > Math.max(rate / 2, 10)) return `${backlog} were not done when the last one was sent`;
  return undefined;
};

/** Node's own is an HdrHistogram: three significant digits over the whole range. */
const newHistogram = (): RecordableHistogram =>
  createHistogram({ lowest: 1, highest: 600_000_000, figures: 3 });

const histogramOf = (
  due: ReadonlyMap<string, number>,
  ids: readonly string[],
  times: readonly number[],
): RecordableHistogram => {
  const histogram = newHistogram();
  for (const [index, id] of ids.entries()) {
    const at = due.get(id); // none for the warm-up
    if (at !== undefined) histogram.record(Math.max(1, Math.round((times[index]! - at) * 1000)));
  }
  if (histogram.count !== due.size) throw new Error(`${due.size} were due, ${histogram.count} were done`);
  return histogram;
};

/** When each todo was due, and how late the generator itself was. */
const submitSteadily = async ({ submit }: Subject, rate: number, seconds: number) => {
  const due = new Map<string, number>();
  const lateness: number[] = [];
  const sent: Promise<void>[] = [];
  const begin = now() + 100;
  for (let index = 0; index < rate * seconds; index++) {
    const at = begin + (index * 1000) / rate;
    await until(at);
    lateness.push(now() - at);
    const id = randomUUIDv7();
    due.set(id, at);
    sent.push(submit(id));
  }
  await Promise.all(sent);
  return { due, lateness };
};

/** A timer alone may be a millisecond late, which is as long as what is measured. */
const until = async (at: number): Promise<void> => {
  const left = at - now();
  if (left > 2) await delay(left - 2);
  while (now() < at) await immediate();
};

/** In ms. */
type Percentiles = Record<'p50' | 'p90' | 'p99' | 'p999' | 'max', number>;

export const percentilesOf = (histogram: RecordableHistogram): Percentiles => {
  const at = (percent: number) => histogram.percentile(percent) / 1000;
  return { p50: at(50), p90: at(90), p99: at(99), p999: at(99.9), max: histogram.max / 1000 };
};

type Distribution = {
  readonly p50: Spread;
  readonly p90: Spread;
  readonly p99: Spread;
  readonly max: Spread;
  /** Of all rounds in one; a thousand samples and more, else it would be the slowest one by another name. */
  readonly p999?: number;
};
type SubjectFigures = {
  readonly done: Distribution;
  readonly audit: Distribution;
  /** A line for each round in which the rate was not held. */
  readonly notHeld: readonly string[];
};
type RateFigures = {
  readonly rate: number;
  readonly generatorLateP99: Spread;
  /** Until done; left out where the rate was not held in every round. */
  readonly p50RatioToFloor?: Spread;
  readonly p99RatioToFloor?: Spread;
  readonly subjects: Record<Measured, SubjectFigures>;
};
type Figures = {
  /** At 50 a second, or at the first rate where that was not measured: medians. */
  readonly p50RatioToFloor?: number;
  readonly p99RatioToFloor?: number;
  readonly rates: readonly RateFigures[];
};

const figuresOf = (found: ReadonlyMap<Cell, readonly Latencies[]>, { rates }: Options): Figures => {
  const of = (rate: number, name: Measured) =>
    [...found].find(([cell]) => cell.rate === rate && cell.name === name)![1];
  const all = rates.map((rate) => rateFigures(rate, of(rate, 'floor'), of(rate, 'holdfast')));
  const { p50RatioToFloor, p99RatioToFloor } = all.find(({ rate }) => rate === 50) ?? all[0]!;
  return {
    ...(p50RatioToFloor && { p50RatioToFloor: p50RatioToFloor.median }),
    ...(p99RatioToFloor && { p99RatioToFloor: p99RatioToFloor.median }),
    rates: all,
  };
};

const rateFigures = (
  rate: number,
  floor: readonly Latencies[],
  holdfast: readonly Latencies[],
): RateFigures => {
  const isHeld = [...floor, ...holdfast].every(({ notHeld }) => !notHeld);
  const ratio = (figure: 'p50' | 'p99') => {
    const of = (rounds_: readonly Latencies[]) => rounds_.map(({ done }) => percentilesOf(done)[figure]);
    return ratios(of(holdfast), of(floor));
  };
  return {
    rate,
    generatorLateP99: spread([...floor, ...holdfast].map(({ lateP99 }) => lateP99)),
    ...(isHeld && { p50RatioToFloor: ratio('p50'), p99RatioToFloor: ratio('p99') }),
    subjects: { floor: subjectFigures(floor), holdfast: subjectFigures(holdfast) },
  };
};

const subjectFigures = (found: readonly Latencies[]): SubjectFigures => ({
  done: distributionOf(found.map(({ done }) => done)),
  audit: distributionOf(found.map(({ audit }) => audit)),
  notHeld: found.flatMap(({ notHeld }) => notHeld ?? []),
});

const distributionOf = (histograms: readonly RecordableHistogram[]): Distribution => {
  const each = histograms.map(percentilesOf);
  const of = (figure: keyof Percentiles) => spread(each.map((round) => round[figure]));
  const pooled = newHistogram();
  for (const histogram of histograms) pooled.add(histogram);
  return {
    p50: of('p50'),
    p90: of('p90'),
    p99: of('p99'),
    max: of('max'),
    ...(pooled.count >= 1000 && { p999: percentilesOf(pooled).p999 }),
  };
};

const linesOf = ({ rates }: Figures): string[] => {
  const cells = rates.flatMap((rate) => measured.map((name) => ({ ...rate, name })));
  const table = (title: string, moment: 'done' | 'audit') =>
    columns(
      [title, 'p50', 'p90', 'p99', 'p99.9', 'slowest'],
      cells.map(({ rate, name, subjects: found }) => {
        const { p50, p90, p99, p999, max } = found[name][moment];
        const head = `${rate}/s, ${subjects[name]}`;
        if (found[name].notHeld.length > 0) return [head, 'not held', '-', '-', '-', '-'];
        return [
          head,
          ...[p50, p90, p99].map((figure) => range(figure, decimals(2))),
          p999 === undefined ? '-' : p999.toFixed(2),
          max.max.toFixed(2),
        ];
      }),
    );
  return [
    ...table('Until it is done, ms', 'done'),
    '',
    ...table('Until its audit entry arrives, ms', 'audit'),
    '',
    ...rates.flatMap(rateLines),
    'From the moment a todo was due to be submitted. Done: at the floor its message is acked, in Holdfast its run is final',
    'and durable. Medians (min to max) of the rounds; p99.9 is that of all rounds in one.',
  ];
};

const rateLines = ({
  rate,
  p50RatioToFloor,
  p99RatioToFloor,
  generatorLateP99,
  subjects: found,
}: RateFigures): string[] => [
  ...(p50RatioToFloor && p99RatioToFloor
    ? [
        `${rate}/s: ${range(p50RatioToFloor, decimals(2))} times the floor's p50, ${range(p99RatioToFloor, decimals(2))} times its p99. The load generator was at most ${generatorLateP99.max.toFixed(2)} ms late (p99).`,
      ]
    : []),
  ...measured.flatMap((name) =>
    found[name].notHeld.map((why) => `${rate}/s was not held by ${subjects[name]}: ${why}.`),
  ),
];

const plotOf = ({ rates }: Figures): string => {
  const rows = (figure: 'p50' | 'p99') =>
    rates.flatMap(({ rate, subjects: found }) =>
      measured
        .filter((name) => found[name].notHeld.length === 0)
        .map((name) => ({
          label: `${rate}/s, ${subjects[name]}`,
          value: found[name].done[figure],
          isOurs: name === 'holdfast',
        })),
    );
  return plot('Latency, from submit to done', [
    bars('p50, ms', rows('p50'), decimals(1)),
    bars('p99, ms', rows('p99'), decimals(1)),
  ]);
};
