import { randomUUIDv7 } from 'node:crypto';
import { setImmediate as immediate, setTimeout as delay } from 'node:timers/promises';
import { arrived, defineBench, inTurn } from './bench.ts';
import type { Bench } from './bench.ts';
import { now } from './clock.ts';
import { cpuProf, inFlight, number, rounds, warmup } from './options.ts';
import type { Arrivals } from './receiver.ts';
import { percentile, ratios, spread } from './stats.ts';
import type { Spread } from './stats.ts';
import { fill, openSubject, subjects } from './subject.ts';
import type { Subject, SubjectName } from './subject.ts';
import { columns, decimals } from './table.ts';

const measured = ['floor', 'holdfast'] as const satisfies readonly SubjectName[];
type Measured = (typeof measured)[number];

type Round = { p50: number; p99: number; max: number; lateP99: number };
type Rounds = Record<Measured, Round[]>;

type Options = {
  rounds: number;
  inFlight: number;
  warmup: number;
  cpuProf?: string;
  /** Todos a second. */
  rate: number;
  seconds: number;
};
type Settings = Omit<Options, 'cpuProf'>;

/**
 * Milliseconds from the moment at which a todo was due to be submitted until its audit entry arrives. An open loop:
 * a todo is sent when it is due, whatever became of those before it, so that a worker that stalls cannot hold back
 * the very requests that would have shown it (Gil Tene, "How NOT to Measure Latency").
 */
export const latencyBench = defineBench<Options, Figures, Settings>({
  name: 'latency',
  summary: 'milliseconds from submit to done, in an open loop',
  options: [
    rounds(5),
    inFlight,
    warmup(4000),
    number('--rate <n>', 'todos a second of latency', 50),
    number('--seconds <n>', 'how long one round of latency lasts', 20),
    cpuProf,
  ],
  examples: ['latency', 'latency --rate 200 --seconds 60', 'latency -o json'],
  settings: ({ rounds: n, inFlight: most, warmup: before, rate, seconds }) => ({
    rounds: n,
    inFlight: most,
    warmup: before,
    rate,
    seconds,
  }),
  measure: (bench, options) => latency(bench, options),
  words: (settings) => [
    `${settings.rounds} rounds in turn`,
    `${settings.rate}/s for ${settings.seconds} s a round after ${settings.warmup} to warm up`,
    `${settings.inFlight} in flight`,
  ],
  lines: (figures, settings) => linesOf(figures, settings),
});

const latency = async (bench: Bench, options: Options): Promise<Figures> => {
  const found: Rounds = { floor: [], holdfast: [] };
  for (let round = 1; round <= options.rounds; round++) {
    for (const name of inTurn(measured, round)) {
      const result = await measure(name, bench, options);
      found[name].push(result);
      const { p50, p99 } = result;
      bench.progress(
        `latency, round ${round} of ${options.rounds}: ${subjects[name]} p50 ${p50.toFixed(1)} ms, p99 ${p99.toFixed(1)} ms`,
      );
    }
  }
  return figuresOf(found);
};

const measure = async (name: Measured, bench: Bench, options: Options): Promise<Round> => {
  const { receiver } = bench;
  const { warmup: before, rate, seconds } = options;
  const subject = openSubject(name, { ...bench, ...options });
  try {
    await fill(subject, before);
    const worker = await subject.start();
    await arrived(receiver, before);
    await delay(1000); // the last acks and commits of the warm-up
    const { due, lateness } = await submitSteadily(subject, rate, seconds);
    await arrived(receiver, before + due.size);
    await worker.stop();
    await subject.prove(before + due.size);
    const { keys, times } = await receiver.ask<Arrivals>('take');
    const taken = keys.flatMap((key, index) => {
      const at = due.get(key.replace(/\/sendAudit$/, ''));
      return at === undefined ? [] : [times[index]! - at];
    });
    return {
      p50: percentile(taken, 50),
      p99: percentile(taken, 99),
      max: Math.max(...taken),
      lateP99: percentile(lateness, 99),
    };
  } finally {
    await subject.close();
  }
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

type Percentiles = { p50: Spread; p99: Spread; max: Spread };
type Figures = {
  /** Medians over the rounds, each against the floor of its own round. */
  p50RatioToFloor: number;
  p99RatioToFloor: number;
  /** How late the load generator sent, in ms: the part of the figures that is its own. */
  generatorLateP99: number;
  subjects: Record<Measured, Percentiles>;
};

const figuresOf = (found: Rounds): Figures => {
  const of = (name: Measured, figure: keyof Round) => found[name].map((round) => round[figure]);
  const ratio = (figure: 'p50' | 'p99') => ratios(of('holdfast', figure), of('floor', figure)).median;
  const all = (name: Measured): Percentiles => ({
    p50: spread(of(name, 'p50')),
    p99: spread(of(name, 'p99')),
    max: spread(of(name, 'max')),
  });
  return {
    p50RatioToFloor: ratio('p50'),
    p99RatioToFloor: ratio('p99'),
    generatorLateP99: spread([...of('floor', 'lateP99'), ...of('holdfast', 'lateP99')]).max,
    subjects: { floor: all('floor'), holdfast: all('holdfast') },
  };
};

const linesOf = (
  { subjects: found, p50RatioToFloor, p99RatioToFloor, generatorLateP99 }: Figures,
  { rate }: Settings,
): string[] => [
  ...columns(
    [`Latency at ${rate}/s, ms`, 'p50', 'min', 'max', 'p99', 'min', 'max', 'slowest'],
    measured.map((name) => {
      const { p50, p99, max } = found[name];
      return [
        subjects[name],
        ...[p50.median, p50.min, p50.max, p99.median, p99.min, p99.max, max.max].map(decimals(2)),
      ];
    }),
  ),
  `Holdfast takes ${p50RatioToFloor.toFixed(2)} times the floor's p50 and ${p99RatioToFloor.toFixed(2)} times its p99.`,
  `From the moment a todo was due to be submitted until its audit entry arrived, for both alike; the last commit and the`,
  `ack come after that. The load generator itself was at most ${generatorLateP99.toFixed(2)} ms late (p99).`,
];
