import { arrived, defineBench, inTurn } from './bench.ts';
import type { Bench } from './bench.ts';
import type { Child, Usage } from './child.ts';
import { cpuOf, each, named, writtenBy } from './counters.ts';
import type { Counters } from './counters.ts';
import { cpuProf, inFlight, rounds, todos, warmup } from './options.ts';
import type { Arrivals } from './receiver.ts';
import type { SlowSync } from './slow-sync.ts';
import { bars, plot } from './plot.ts';
import { ratios, spread } from './stats.ts';
import type { Spread } from './stats.ts';
import { fill, newIds, openSubject, subjectNames, subjects, submitAll } from './subject.ts';
import type { Subject, SubjectName } from './subject.ts';
import { columns, decimals, range, whole } from './table.ts';

type Options = { rounds: number; todos: number; warmup: number; inFlight: number; cpuProf?: string };
type Settings = Omit<Options, 'cpuProf'>;

/** What a worker did while the clock ran. */
export type Flow = {
  readonly perSecond: number;
  /** CPU ms, commits, fsyncs and bytes, each for one todo. What the system does not tell is missing. */
  readonly perTodo: Counters;
  /** Bytes: the most that the worker ever had. */
  readonly memory: number;
  readonly handedBack: number;
};

export const throughputBench = defineBench<Options, Figures, Settings>({
  name: 'throughput',
  summary: 'todos a second with the queue never empty',
  options: [rounds(5), inFlight, warmup(4000), todos(20_000), cpuProf],
  examples: ['throughput', 'throughput --rounds 9 --todos 50000', 'throughput -o json'],
  settings: ({ rounds: n, todos: count, warmup: before, inFlight: most }) => ({
    rounds: n,
    todos: count,
    warmup: before,
    inFlight: most,
  }),
  measure: (bench, options) => throughput(bench, options),
  words: (settings) => [
    `${settings.rounds} rounds in turn`,
    `${whole(settings.todos)} todos a round after ${whole(settings.warmup)} to warm up`,
    `${settings.inFlight} in flight`,
  ],
  lines: (figures) => linesOf(figures),
  plot: (figures) => plotOf(figures),
});

const throughput = async (bench: Bench, options: Options): Promise<Figures> => {
  const slowSync = counting(bench);
  const found: Record<SubjectName, Flow[]> = { floor: [], naive: [], holdfast: [], embedded: [] };
  for (let round = 1; round <= options.rounds; round++) {
    for (const name of inTurn(subjectNames, round)) {
      const subject = openSubject(name, { ...bench, ...options, slowSync });
      const flow = await measureFlow(subject, bench, options).finally(subject.close);
      found[name].push(flow);
      const lap = flow.handedBack > 0 ? `, ${flow.handedBack} messages handed back for a lap` : '';
      bench.progress(
        `throughput, round ${round} of ${options.rounds}: ${subjects[name]} ${whole(flow.perSecond)}/s${lap}`,
      );
    }
  }
  return figuresOf(found);
};

/** Fsyncs are counted where that can be done; it costs an addition each. */
const counting = (bench: Bench): SlowSync | undefined => {
  try {
    return bench.openSlowSync();
  } catch (error) {
    bench.progress((error as Error).message);
    return undefined;
  }
};

type FlowOptions = {
  readonly warmup: number;
  readonly todos: number;
  /** Runs that are in the store, unfinished, and stay so. */
  readonly waiting?: number;
  /** Runs that were final before. */
  readonly finished?: number;
  /** Messages of such runs, which come by between the todos. */
  readonly laps?: readonly string[];
  /** Called when all is done, before the worker leaves. */
  readonly atRest?: (worker: Child) => Promise<void>;
};

/**
 * The queue is filled before the worker starts, so that nobody else needs the CPU, and the clock runs from the audit
 * entry that ends the warm-up to the last one.
 */
export const measureFlow = async (
  subject: Subject,
  { receiver, brokerPid }: Bench,
  { warmup: before, todos: count, waiting = 0, finished = 0, laps = [], atRest }: FlowOptions,
): Promise<Flow> => {
  await fill(subject, before);
  await submitAll(subject, mixed(newIds(count), laps));
  const worker = await subject.start();
  const read = () => readCounters({ subject, worker, receiver, brokerPid });
  await arrived(receiver, before);
  const begin = await read();
  await arrived(receiver, before + count);
  const end = await read();
  const { memory } = await worker.ask<Usage>('usage');
  await atRest?.(worker);
  await worker.stop();
  const handedBack = await subject.prove(before + count, { waiting, finished });
  const { times } = await receiver.ask<Arrivals>('take');
  const seconds = (times.at(-1)! - times[before - 1]!) / 1000;
  return { perSecond: count / seconds, perTodo: each(begin, end, count), memory, handedBack };
};

/** The few spread evenly among the many. */
const mixed = (many: readonly string[], few: readonly string[]): string[] => {
  const share = (index: number) => Math.floor((index * few.length) / many.length);
  return many.flatMap((id, index) => [id, ...few.slice(share(index), share(index + 1))]);
};

type Processes = { subject: Subject; worker: Child; receiver: Child; brokerPid: number | undefined };

const readCounters = async ({ subject, worker, receiver, brokerPid }: Processes): Promise<Counters> => {
  const cpu = async (child: Child) => ({ cpu: (await child.ask<Usage>('usage')).cpu });
  const usesBroker = brokerPid !== undefined && subject.place.queue !== 'embedded';
  return {
    ...named('worker', { ...(await cpu(worker)), ...writtenBy(worker.pid) }),
    ...named('receiver', await cpu(receiver)),
    ...(usesBroker && named('broker', { ...cpuOf(brokerPid), ...writtenBy(brokerPid) })),
    ...subject.counters(),
  };
};

type SubjectFigures = {
  readonly perSecond: Spread;
  readonly ratioToFloor: Spread;
  /** Of the worker alone, and of all processes that are ours. */
  readonly cpuRatioToFloor: Spread;
  readonly allCpuRatioToFloor: Spread;
  readonly peakMemoryMiB: Spread;
  readonly handedBack: Spread;
  /** By name; CPU in ms. */
  readonly perTodo: Readonly<Record<string, Spread>>;
};

type Figures = {
  /** Medians over the rounds, each against the floor of its own round; Holdfast on RabbitMQ. */
  readonly ratioToFloor: number;
  readonly cpuRatioToFloor: number;
  readonly embeddedRatioToRabbitMQ: number;
  readonly subjects: Record<SubjectName, SubjectFigures>;
};

const figuresOf = (found: Record<SubjectName, Flow[]>): Figures => {
  const rate = ({ perSecond }: Flow) => perSecond;
  const of = (name: SubjectName): SubjectFigures => ({
    perSecond: spread(found[name].map(rate)),
    ratioToFloor: ratios(found[name].map(rate), found.floor.map(rate)),
    cpuRatioToFloor: ratios(found[name].map(workerCpu), found.floor.map(workerCpu)),
    allCpuRatioToFloor: ratios(found[name].map(allCpu), found.floor.map(allCpu)),
    peakMemoryMiB: spread(found[name].map(({ memory }) => memory / 2 ** 20)),
    handedBack: spread(found[name].map(({ handedBack }) => handedBack)),
    perTodo: Object.fromEntries(
      Object.keys(found[name][0]!.perTodo).map((counter) => [
        counter,
        spread(found[name].map(({ perTodo }) => perTodo[counter]!)),
      ]),
    ),
  });
  const all = {
    floor: of('floor'),
    naive: of('naive'),
    holdfast: of('holdfast'),
    embedded: of('embedded'),
  };
  return {
    ratioToFloor: all.holdfast.ratioToFloor.median,
    cpuRatioToFloor: all.holdfast.cpuRatioToFloor.median,
    embeddedRatioToRabbitMQ: ratios(found.embedded.map(rate), found.holdfast.map(rate)).median,
    subjects: all,
  };
};

const workerCpu = ({ perTodo }: Flow): number => perTodo['worker cpu']!;

const allCpu = ({ perTodo }: Flow): number =>
  ['worker cpu', 'broker cpu', 'receiver cpu'].reduce((sum, name) => sum + (perTodo[name] ?? 0), 0);

const linesOf = ({ subjects: found, embeddedRatioToRabbitMQ }: Figures): string[] => {
  const rows = (cells: (figures: SubjectFigures) => (string | undefined)[]) =>
    subjectNames.map((name) => [subjects[name], ...cells(found[name]).map((cell) => cell ?? '-')]);
  const counted = (counter: string, format: (value: number) => string) => (figures: SubjectFigures) =>
    figures.perTodo[counter] && range(figures.perTodo[counter], format);
  return [
    ...columns(
      ['Throughput', 'todos/s', 'of the floor', 'peak MiB'],
      rows((figures) => [
        range(figures.perSecond, whole),
        range(figures.ratioToFloor, decimals(2)),
        range(figures.peakMemoryMiB, whole),
      ]),
    ),
    '',
    ...columns(
      ['CPU ms a todo', 'worker', 'broker', 'receiver', 'worker to the floor', 'all to the floor'],
      rows((figures) => [
        ...['worker cpu', 'broker cpu', 'receiver cpu'].map((name) => counted(name, decimals(3))(figures)),
        range(figures.cpuRatioToFloor, decimals(2)),
        range(figures.allCpuRatioToFloor, decimals(2)),
      ]),
    ),
    '',
    ...columns(
      ['Written for a todo', 'commits', 'fsyncs', 'bytes to disk', 'by the broker', 'bytes to write(2)'],
      rows((figures) => [
        counted('commits', decimals(3))(figures),
        counted('fsyncs', decimals(3))(figures),
        counted('worker disk', whole)(figures),
        counted('broker disk', whole)(figures),
        counted('worker writes', whole)(figures),
      ]),
    ),
    `Medians (min to max). The embedded queue does ${embeddedRatioToRabbitMQ.toFixed(2)} times what RabbitMQ does.`,
  ];
};

const plotOf = ({ subjects: found }: Figures): string => {
  const rows = (figure: (figures: SubjectFigures) => Spread) =>
    subjectNames.map((name) => ({
      label: subjects[name],
      value: figure(found[name]),
      isOurs: name === 'holdfast' || name === 'embedded',
    }));
  return plot('Throughput', [
    bars(
      'todos a second, to the floor',
      rows((figures) => figures.ratioToFloor),
      decimals(2),
    ),
    bars(
      'CPU of the worker for a todo, to the floor',
      rows((figures) => figures.cpuRatioToFloor),
      decimals(2),
    ),
  ]);
};
