import { copyFileSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import path from 'node:path';
import Sqlite from 'better-sqlite3';
import { openArchive } from '../src/cli/compose.ts';
import { findRun } from '../src/cli/find.ts';
import { arrived, defineBench, inTurn } from './bench.ts';
import type { Bench } from './bench.ts';
import { now } from './clock.ts';
import { fillFinished } from './filled.ts';
import { measureLatency, percentilesOf } from './latency.ts';
import { checkpoint, copyDurably, makeRuns } from './made.ts';
import { inFlight, number, numbers, rounds, todos, warmup } from './options.ts';
import { measureResume } from './resume.ts';
import { curves, plot } from './plot.ts';
import { percentile, ratios, spread } from './stats.ts';
import type { Spread } from './stats.ts';
import { fill, openSubject } from './subject.ts';
import type { Subject } from './subject.ts';
import { columns, decimals, range, whole } from './table.ts';
import { measureFlow } from './throughput.ts';

type Options = {
  rounds: number;
  todos: number;
  warmup: number;
  inFlight: number;
  /** Finished runs. */
  sizes: number[];
  /** Of latency: todos a second, and for how long. */
  rate: number;
  seconds: number;
  /** Runs that are resumed. */
  unfinished: number;
};

/** Runs of a real worker, of which the others are copies. */
const patterns = 1000;

/** A store up to this size is copied for each round; a larger one is used as it is, and grows by what is done to it. */
const mostCopied = 2 ** 30;

export const growthBench = defineBench<Options, Figures, Options>({
  name: 'growth',
  summary: 'what changes as finished runs gather in the store',
  options: [
    rounds(3),
    inFlight,
    warmup(2000),
    todos(10_000),
    numbers('--sizes <n...>', 'finished runs in the store', [1000, 100_000, 1_000_000]),
    number('--rate <n>', 'todos a second of the latency', 50),
    number('--seconds <n>', 'how long one round of the latency lasts', 10),
    number('--unfinished <n>', 'runs that a killed worker left, of the resume', 1000),
  ],
  examples: ['growth', 'growth --sizes 1000 10000000', 'growth --svg growth.svg -o json'],
  settings: (options) => ({
    rounds: options.rounds,
    todos: options.todos,
    warmup: options.warmup,
    inFlight: options.inFlight,
    sizes: options.sizes,
    rate: options.rate,
    seconds: options.seconds,
    unfinished: options.unfinished,
  }),
  measure: (bench, options) => growth(bench, options),
  words: (settings) => [
    `${settings.rounds} rounds in turn`,
    `${whole(settings.todos)} todos a round after ${whole(settings.warmup)} to warm up`,
    `${settings.inFlight} in flight`,
    `latency at ${settings.rate}/s for ${settings.seconds} s`,
    `${whole(settings.unfinished)} runs to resume`,
  ],
  lines: (figures, settings) => linesOf(figures, settings),
  plot: (figures, settings) => plotOf(figures, settings),
});

/** A store with so many finished runs. */
type Grown = { readonly size: number; readonly store: string; readonly bytes: number; finished: number };

const growth = async (bench: Bench, options: Options): Promise<Figures> => {
  const { stores, copyToReal } = await growStores(bench, options);
  const found = new Map(stores.map((grown) => [grown, [] as Round[]]));
  for (let round = 1; round <= options.rounds; round++) {
    for (const grown of inTurn(stores, round)) {
      const result = await measureStore(grown, bench, options);
      found.get(grown)!.push(result);
      bench.progress(
        `growth, round ${round} of ${options.rounds}: ${whole(grown.size)} finished runs: ${whole(result.perSecond)}/s, p50 ${result.p50.toFixed(1)} ms`,
      );
    }
  }
  return figuresOf(found, copyToReal);
};

const growStores = async (
  bench: Bench,
  { sizes, inFlight: most }: Options,
): Promise<{ stores: Grown[]; copyToReal: number | undefined }> => {
  const folder = mkdtempSync(path.join(bench.folder, 'growth-'));
  const pattern = path.join(folder, 'pattern.db');
  const real = Math.min(patterns, ...sizes);
  const subject = openSubject('holdfast', { ...bench, inFlight: most, store: pattern });
  const empty = await finishReally(subject, bench, real).finally(subject.close);
  checkpoint(pattern);
  const stores: Grown[] = [];
  for (const size of sizes.toSorted((one, other) => one - other)) {
    bench.progress(`growth: making ${whole(size)} finished runs`);
    const store = path.join(folder, `${size}.db`);
    copyFileSync(pattern, store);
    await fillFinished(store, size);
    stores.push({ size, store, bytes: statSync(store).size, finished: size });
  }
  const bytes = statSync(pattern).size;
  const largest = stores.at(-1)!;
  const copied = (largest.bytes - bytes) / (largest.size - real);
  return {
    stores,
    copyToReal: largest.size > real ? copied / ((bytes - empty) / real) : undefined,
  };
};

/** Returns how large the store is without a run. */
const finishReally = async (subject: Subject, { receiver }: Bench, count: number): Promise<number> => {
  const idle = await subject.start();
  await idle.stop();
  checkpoint(subject.place.store);
  const empty = statSync(subject.place.store).size;
  await fill(subject, count);
  const worker = await subject.start();
  await arrived(receiver, count);
  await worker.stop();
  await subject.prove(count);
  await receiver.ask('take');
  return empty;
};

type Reads = {
  /** In ms. */
  readonly list: number;
  /** Of those in a status that no run has. */
  readonly listFailed: number;
  readonly inspect: number;
  readonly census: number;
};
type Round = Reads & {
  readonly perSecond: number;
  readonly p50: number;
  readonly firstCall: number;
};

const measureStore = async (grown: Grown, bench: Bench, options: Options): Promise<Round> => {
  if (statSync(grown.store).size > mostCopied) return measureAll(grown, bench, options);
  const store = `${grown.store}.copy`;
  copyDurably(grown.store, store);
  try {
    return await measureAll({ ...grown, store }, bench, options);
  } finally {
    for (const suffix of ['', '-wal', '-shm']) rmSync(`${store}${suffix}`, { force: true });
  }
};

/** What adds little comes first. */
const measureAll = async (grown: Grown, bench: Bench, options: Options): Promise<Round> => {
  const { store } = grown;
  const { unfinished, rate, seconds, warmup: before, todos: count } = options;
  const reads = await timeReads(store);
  await makeRuns(bench, unfinished, 'calling', store);
  const { firstCall } = await using(grown, bench, options, async (subject, finished) => {
    const result = await measureResume(subject, bench, unfinished);
    await subject.prove(unfinished, { finished, alerts: 0 }); // they were sent before
    grown.finished += unfinished;
    return result;
  });
  const { done } = await using(grown, bench, options, async (subject, finished) => {
    const result = await measureLatency(subject, bench, { ...options, finished });
    grown.finished += before + rate * seconds;
    return result;
  });
  const { perSecond } = await using(grown, bench, options, async (subject, finished) => {
    const result = await measureFlow(subject, bench, { ...options, finished });
    grown.finished += before + count;
    return result;
  });
  return { ...reads, firstCall, perSecond, p50: percentilesOf(done).p50 };
};

const using = async <Result>(
  { store, finished }: Grown,
  bench: Bench,
  options: Options,
  measure: (subject: Subject, finished: number) => Promise<Result>,
): Promise<Result> => {
  const subject = openSubject('holdfast', { ...bench, inFlight: options.inFlight, noteDone: true, store });
  return measure(subject, finished).finally(subject.close);
};

/** As `holdfast list` does by default. */
const listed = 50;

const timeReads = async (store: string): Promise<Reads> => {
  const ids = someIds(store, 200);
  const { archive, db } = openArchive({ store })!;
  const reads = {
    list: await time(20, () => archive.list({ limit: listed })),
    listFailed: await time(5, () => archive.list({ status: 'failed', limit: listed })),
    inspect: await time(ids.length, async (index) => {
      const run = await findRun(archive, ids[index]!);
      await archive.history(run.id);
    }),
    census: await time(5, () => archive.census()),
  };
  db.close();
  return reads;
};

/** The median, in ms. The first time is not counted: it prepares the statement. */
const time = async (times: number, read: (index: number) => Promise<unknown>): Promise<number> => {
  await read(0);
  const taken: number[] = [];
  for (let index = 0; index < times; index++) {
    const began = now();
    await read(index);
    taken.push(now() - began);
  }
  return percentile(taken, 50);
};

/** From all over the store. */
const someIds = (store: string, count: number): string[] => {
  const db = new Sqlite(store, { readonly: true });
  const last = db.prepare('SELECT max(rowid) FROM runs').pluck().get() as number;
  const at = db.prepare('SELECT id FROM runs WHERE rowid = ?').pluck();
  const ids = Array.from({ length: count }, () => at.get(1 + Math.floor(Math.random() * last)) as string);
  db.close();
  return ids;
};

type SizeFigures = Record<keyof Round, Spread> & {
  readonly size: number;
  /** Throughput to that of the smallest store, in the same round. */
  readonly ratioToSmallest: Spread;
  readonly fileBytes: number;
};
type Figures = {
  /** Of the largest store; median. */
  readonly ratioToSmallest: number;
  /** Bytes of a copied run to those of a real worker's. */
  readonly copyToReal?: number;
  readonly sizes: readonly SizeFigures[];
};

const figuresOf = (found: ReadonlyMap<Grown, readonly Round[]>, copyToReal: number | undefined): Figures => {
  const rate = (rounds_: readonly Round[]) => rounds_.map(({ perSecond }) => perSecond);
  const [smallest] = found.values();
  const all = [...found].map(([{ size, bytes }, own]): SizeFigures => {
    const of = (figure: keyof Round) => spread(own.map((round) => round[figure]));
    return {
      size,
      perSecond: of('perSecond'),
      ratioToSmallest: ratios(rate(own), rate(smallest!)),
      p50: of('p50'),
      firstCall: of('firstCall'),
      list: of('list'),
      listFailed: of('listFailed'),
      inspect: of('inspect'),
      census: of('census'),
      fileBytes: bytes,
    };
  });
  return {
    ratioToSmallest: all.at(-1)!.ratioToSmallest.median,
    ...(copyToReal !== undefined && { copyToReal }),
    sizes: all,
  };
};

const linesOf = ({ sizes, copyToReal }: Figures, { rate }: Options): string[] => [
  ...columns(
    [
      'Finished runs',
      'todos/s',
      'of the smallest',
      `p50 ms at ${rate}/s`,
      'first call after s',
      'file MiB',
      'bytes a run',
    ],
    sizes.map(({ size, perSecond, ratioToSmallest, p50, firstCall, fileBytes }) => [
      whole(size),
      range(perSecond, whole),
      range(ratioToSmallest, decimals(2)),
      range(p50, decimals(2)),
      range(firstCall, decimals(2)),
      (fileBytes / 2 ** 20).toFixed(1),
      whole(fileBytes / size),
    ]),
  ),
  '',
  ...columns(
    ['Reading, ms', 'list', 'list --status failed', 'inspect', 'census'],
    sizes.map((found) => [
      whole(found.size),
      ...(['list', 'listFailed', 'inspect', 'census'] as const).map((read) =>
        range(found[read], decimals(2)),
      ),
    ]),
  ),
  'Medians (min to max). Up to a thousand of the runs are a real worker’s, the others have the same rows under new ids, a',
  `fifth of them in no order${copyToReal === undefined ? '' : `; one takes ${copyToReal.toFixed(2)} times the bytes of a real one`}. No run has failed. Reads are those of an open`,
  'store whose file is in the page cache.',
];

const plotOf = ({ sizes }: Figures, { rate }: Options): string => {
  const of = (head: string, figure: (found: SizeFigures) => Spread, digits: number) => ({
    head,
    points: sizes.map((found) => ({ x: found.size, label: short(found.size), value: figure(found) })),
    format: decimals(digits),
  });
  return plot('As finished runs gather in the store', [
    curves([
      of('todos a second, to the smallest', ({ ratioToSmallest }) => ratioToSmallest, 2),
      of(`p50 at ${rate}/s, ms`, ({ p50 }) => p50, 1),
    ]),
    curves([
      of('first call after, s', ({ firstCall }) => firstCall, 2),
      of('file, MiB', ({ fileBytes }) => spread([fileBytes / 2 ** 20]), 0),
    ]),
    curves([of('list, ms', ({ list }) => list, 2), of('inspect, ms', ({ inspect }) => inspect, 2)]),
    curves([
      of('list --status failed, ms', ({ listFailed }) => listFailed, 2),
      of('census, ms', ({ census }) => census, 1),
    ]),
  ]);
};

/** `100K`. */
const short = (size: number): string => size.toLocaleString('en', { notation: 'compact' });
