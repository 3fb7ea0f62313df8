import { setTimeout as delay } from 'node:timers/promises';
import Sqlite from 'better-sqlite3';
import { arrived, defineBench, inTurn } from './bench.ts';
import type { Bench } from './bench.ts';
import type { Usage } from './child.ts';
import { now } from './clock.ts';
import { makeRuns } from './made.ts';
import type { Made } from './made.ts';
import { inFlight, number, rounds } from './options.ts';
import type { Arrivals } from './receiver.ts';
import { bars, plot } from './plot.ts';
import { spread } from './stats.ts';
import type { Spread } from './stats.ts';
import { openSubject, subjects } from './subject.ts';
import type { Subject } from './subject.ts';
import { columns, decimals, range, whole } from './table.ts';

type Options = { rounds: number; inFlight: number; runs: number };

const queues = ['holdfast', 'embedded'] as const;
type QueueName = (typeof queues)[number];

/** Seconds from the start of the process; bytes. */
export type Resumption = {
  readonly firstCall: number;
  /** No unfinished run is without a living worker any more. */
  readonly allTakenUp: number;
  readonly allCalled: number;
  /** The most that the process had until all were taken up, and until all were called. */
  readonly memoryTakenUp: number;
  readonly memory: number;
};
type Round = Resumption & {
  /** Until a worker with nothing to do runs. */
  readonly start: number;
};

export const resumeBench = defineBench<Options, Figures, Options>({
  name: 'resume',
  summary: 'seconds until the runs of a killed worker go on',
  options: [rounds(3), inFlight, number('--runs <n>', 'unfinished runs, each with a call to make', 100_000)],
  examples: ['resume', 'resume --runs 10000 --rounds 5', 'resume -o json'],
  settings: ({ rounds: n, inFlight: most, runs }) => ({ rounds: n, inFlight: most, runs }),
  measure: (bench, options) => resume(bench, options),
  words: (settings) => [
    `${settings.rounds} rounds in turn`,
    `${whole(settings.runs)} unfinished runs`,
    `${settings.inFlight} in flight`,
  ],
  lines: (figures, settings) => linesOf(figures, settings),
  plot: (figures, settings) => plotOf(figures, settings),
});

const resume = async (bench: Bench, options: Options): Promise<Figures> => {
  const made = await makeRuns(bench, options.runs, 'calling');
  const found: Record<QueueName, Round[]> = { holdfast: [], embedded: [] };
  for (let round = 1; round <= options.rounds; round++) {
    for (const queue of inTurn(queues, round)) {
      const start = await timeToStart(openSubject(queue, { ...bench, ...options }));
      const result = await measureCopy(queue, bench, options, made);
      found[queue].push({ ...result, start });
      bench.progress(
        `resume, round ${round} of ${options.rounds}: ${subjects[queue]}: first call after ${result.firstCall.toFixed(2)} s, all taken up after ${result.allTakenUp.toFixed(2)} s, all called after ${result.allCalled.toFixed(1)} s`,
      );
    }
  }
  return figuresOf(found);
};

const timeToStart = async (subject: Subject): Promise<number> => {
  const began = now();
  const worker = await subject.start();
  const seconds = (now() - began) / 1000;
  await worker.stop();
  await subject.close();
  return seconds;
};

const measureCopy = async (
  queue: QueueName,
  bench: Bench,
  options: Options,
  { template }: Made,
): Promise<Resumption> => {
  const subject = openSubject(queue, { ...bench, ...options, template });
  try {
    const result = await measureResume(subject, bench, options.runs);
    await subject.prove(options.runs, { alerts: 0 }); // they were sent before
    return result;
  } finally {
    await subject.close();
  }
};

/** Of a store in which a killed worker left so many runs, each with an audit entry to send. */
export const measureResume = async (
  { place, start }: Pick<Subject, 'place' | 'start'>,
  { receiver }: Bench,
  runs: number,
): Promise<Resumption> => {
  const orphans = watchOrphans(place.store);
  const began = now();
  const starting = start();
  await orphans.gone();
  const takenUp = now();
  orphans.close();
  const worker = await starting;
  const { memory: memoryTakenUp } = await worker.ask<Usage>('usage');
  await arrived(receiver, runs);
  const { memory } = await worker.ask<Usage>('usage');
  await worker.stop();
  const { times, repeats } = await receiver.ask<Arrivals>('take');
  if (repeats > 0) throw new Error(`${repeats} audit entries came again, and nothing was in flight`);
  const after = (moment: number) => (moment - began) / 1000;
  return {
    firstCall: after(times[0]!),
    allTakenUp: after(takenUp),
    allCalled: after(times.at(-1)!),
    memoryTakenUp,
    memory,
  };
};

/** How often the store is asked, in ms: nobody tells who takes a run up. */
const askMs = 20;

/** The unfinished runs that belong to nobody, or to a worker that the store knows of now. */
const watchOrphans = (store: string) => {
  const db = new Sqlite(store, { readonly: true });
  const dead = JSON.stringify(db.prepare('SELECT id FROM workers').pluck().all());
  const left = db
    .prepare(
      `SELECT EXISTS (SELECT 1 FROM runs WHERE status = 'active' AND owner IS NULL)
         OR EXISTS (SELECT 1 FROM runs WHERE owner IN (SELECT value FROM json_each(?)))`,
    )
    .pluck();
  return {
    gone: async () => {
      while (left.get(dead) === 1) await delay(askMs);
    },
    close: () => db.close(),
  };
};

type QueueFigures = Record<keyof Omit<Round, 'memory' | 'memoryTakenUp'>, Spread> & {
  readonly peakMemoryMiB: Spread;
  readonly peakMemoryTakenUpMiB: Spread;
};
type Figures = {
  /** Medians, Holdfast on RabbitMQ. */
  readonly firstCall: number;
  readonly peakMemoryMiB: number;
  readonly queues: Record<QueueName, QueueFigures>;
};

const figuresOf = (found: Record<QueueName, Round[]>): Figures => {
  const of = (queue: QueueName): QueueFigures => {
    const all = (figure: (round: Round) => number) => spread(found[queue].map(figure));
    return {
      start: all(({ start }) => start),
      firstCall: all(({ firstCall }) => firstCall),
      allTakenUp: all(({ allTakenUp }) => allTakenUp),
      allCalled: all(({ allCalled }) => allCalled),
      peakMemoryMiB: all(({ memory }) => memory / 2 ** 20),
      peakMemoryTakenUpMiB: all(({ memoryTakenUp }) => memoryTakenUp / 2 ** 20),
    };
  };
  const all = { holdfast: of('holdfast'), embedded: of('embedded') };
  return {
    firstCall: all.holdfast.firstCall.median,
    peakMemoryMiB: all.holdfast.peakMemoryMiB.median,
    queues: all,
  };
};

const linesOf = ({ queues: found }: Figures, { runs }: Options): string[] => [
  ...columns(
    [
      `Resume of ${whole(runs)}, s`,
      'first call',
      'all taken up',
      'all called',
      'start with none',
      'peak MiB, taken up',
      'called',
    ],
    queues.map((queue) => {
      const { firstCall, allTakenUp, allCalled, start } = found[queue];
      const { peakMemoryMiB, peakMemoryTakenUpMiB } = found[queue];
      return [
        subjects[queue],
        ...[firstCall, allTakenUp, allCalled, start].map((seconds) => range(seconds, decimals(2))),
        ...[peakMemoryTakenUpMiB, peakMemoryMiB].map((memory) => range(memory, whole)),
      ];
    }),
  ),
  'Medians (min to max), from the start of the process, its own included. The worker before was killed; every run has an',
  'audit entry to send, and its message is on a lap. Taken up: no run is without a living worker.',
];

const plotOf = ({ queues: found }: Figures, { runs }: Options): string => {
  const rows = (figure: (figures: QueueFigures) => Spread) =>
    queues.map((queue) => ({ label: subjects[queue], value: figure(found[queue]), isOurs: true }));
  return plot(`Resume of ${whole(runs)} runs`, [
    bars(
      'seconds until the first call',
      rows(({ firstCall }) => firstCall),
      decimals(2),
    ),
    bars(
      'seconds until all are taken up',
      rows(({ allTakenUp }) => allTakenUp),
      decimals(1),
    ),
    bars(
      'MiB at most',
      rows(({ peakMemoryMiB }) => peakMemoryMiB),
      whole,
    ),
  ]);
};
