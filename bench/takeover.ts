import { openArchive } from '../src/cli/compose.ts';
import { startWorkerProcess } from '../src/cli/worker-process.ts';
import type { WorkerProcess } from '../src/cli/worker-process.ts';
import type { Archive } from '../src/store/store.ts';
import { arrived, defineBench } from './bench.ts';
import type { Bench } from './bench.ts';
import { now } from './clock.ts';
import { rounds } from './options.ts';
import type { Arrivals } from './receiver.ts';
import { spread } from './stats.ts';
import type { Spread } from './stats.ts';
import { fill, openSubject, subjects } from './subject.ts';
import type { Subject } from './subject.ts';
import { columns, decimals, whole } from './table.ts';

/** As the same test was made with other products: 500 todos, 64 in flight, killed at the 150th audit entry. */
const todos = 500;
const inFlight = 64;
const killAt = 150;
const killAgainAt = 250;

/** One todo before all others, so that on RabbitMQ the worker that is killed is the one that has the messages. */
const first = 1;

const queues = ['holdfast', 'embedded'] as const;
type QueueName = (typeof queues)[number];

const heirs = {
  started: 'a new one is started',
  standby: 'another one stands by',
  killedToo: 'the new one is killed too',
} as const;
type Heir = keyof typeof heirs;

type Round = {
  /** Seconds from the last kill until every run is final. */
  seconds: number;
  /** Seconds that a worker with nothing to do takes from its spawn until it runs; none where one stands by. */
  start: number;
  inFlight: number;
  repeats: number;
};

type Options = { rounds: number };
type Settings = Options & { todos: number; inFlight: number };

/**
 * Seconds from a SIGKILL until everything is final. The receiver answers nobody from the entry on at which the
 * worker dies, so that all that it has in hand is in flight; the new process is started when the old one is gone.
 */
export const takeoverBench = defineBench<Options, Figures, Settings>({
  name: 'takeover',
  summary: 'seconds from a SIGKILL of the worker until everything is final',
  options: [rounds(3)],
  examples: ['takeover', 'takeover --rounds 5', 'takeover -o json'],
  settings: ({ rounds: n }) => ({ rounds: n, todos, inFlight }),
  measure: (bench, options) => takeover(bench, options),
  words: (settings) => [
    `${settings.rounds} rounds in turn, medians`,
    `${settings.todos} todos a round`,
    `${settings.inFlight} in flight`,
  ],
  lines: (figures) => linesOf(figures),
});

const takeover = async (bench: Bench, options: Options): Promise<Figures> => {
  const found = new Map(cells().map(({ name }) => [name, [] as Round[]]));
  for (let round = 1; round <= options.rounds; round++) {
    for (const { name, queue, heir } of cells()) {
      const result = await measure(queue, heir, bench);
      found.get(name)!.push(result);
      bench.progress(
        `takeover, round ${round} of ${options.rounds}: ${name}: final after ${result.seconds.toFixed(2)} s, start ${result.start.toFixed(2)} s, ${result.repeats} repeats`,
      );
    }
  }
  return figuresOf(found);
};

const cells = (): { name: string; queue: QueueName; heir: Heir }[] =>
  queues.flatMap((queue) =>
    (Object.keys(heirs) as Heir[]).map((heir) => ({
      name: `${subjects[queue]}, ${heirs[heir]}`,
      queue,
      heir,
    })),
  );

const measure = async (queue: QueueName, heir: Heir, bench: Bench): Promise<Round> => {
  const { receiver } = bench;
  const subject = openSubject(queue, { ...bench, inFlight });
  const workers: WorkerProcess[] = [];
  const startWorker = () => {
    const worker = startWorkerProcess(workerSettings(subject, bench));
    workers.push(worker);
    return worker;
  };
  try {
    const start = heir === 'standby' ? 0 : await timeToStart(startWorker);
    let doomed = startWorker();
    await fill(subject, first);
    await arrived(receiver, first);
    if (heir === 'standby') await startWorker().runs;
    await receiver.ask('hold', first + killAt);
    await Promise.all([fill(subject, todos), arrived(receiver, first + killAt)]);
    const { archive, close } = openStoreOf(subject);
    let [unfinished, killed] = [await count(archive, 'active'), now()];
    await doomed.crash();
    await receiver.ask('hold', heir === 'killedToo' ? first + killAgainAt : undefined);
    if (heir !== 'standby') doomed = startWorker();
    if (heir === 'killedToo') {
      await arrived(receiver, first + killAgainAt);
      [unfinished, killed] = [unfinished + (await count(archive, 'active')), now()];
      await doomed.crash();
      await receiver.ask('hold', undefined);
      startWorker();
    }
    await allDone(archive, first + todos);
    const seconds = (now() - killed) / 1000;
    close();
    await workers.at(-1)!.drain();
    const { repeats } = await receiver.ask<Arrivals>('take');
    await subject.prove(first + todos, { repeats: unfinished });
    if (repeats > unfinished)
      throw new Error(`${repeats} audit entries came again, and only ${unfinished} runs were in flight`);
    return { seconds, start, inFlight: unfinished, repeats };
  } finally {
    await receiver.ask('hold', undefined);
    await Promise.all(workers.map((worker) => worker.crash()));
    await subject.close();
  }
};

const workerSettings = ({ place }: Subject, { auditUrl }: Bench) =>
  ({
    ...place,
    auditUrl: new URL(auditUrl),
    auditVerify: false,
    concurrency: inFlight,
    lap: 300_000,
    lease: 15_000,
    retryCap: 60_000,
    logLevel: 'info',
  }) as const;

/** On the same store and queue, with nothing to do. */
const timeToStart = async (start: () => WorkerProcess): Promise<number> => {
  const began = now();
  const worker = start();
  await worker.runs;
  const seconds = (now() - began) / 1000;
  await worker.drain();
  return seconds;
};

const openStoreOf = ({ place }: Subject): { archive: Archive; close: () => void } => {
  const { archive, db } = openArchive(place)!;
  return { archive, close: () => db.close() };
};

const count = async (archive: Archive, wanted: string): Promise<number> =>
  (await archive.census()).filter(({ status }) => status === wanted).reduce((sum, row) => sum + row.count, 0);

/** Asked again after every commit of a worker. */
const allDone = async (archive: Archive, wanted: number): Promise<void> => {
  const done = Promise.withResolvers<void>();
  const look = () =>
    void count(archive, 'done').then((found) => found === wanted && done.resolve(), done.reject);
  const watcher = archive.watch(look);
  look();
  await done.promise.finally(() => watcher.close());
};

type Row = {
  name: string;
  seconds: Spread;
  start: Spread;
  beyondStart: Spread;
  inFlight: Spread;
  repeats: Spread;
};
type Figures = { readonly rows: readonly Row[] };

const figuresOf = (found: ReadonlyMap<string, readonly Round[]>): Figures => ({
  rows: [...found].map(([name, results]) => {
    const of = (figure: (round: Round) => number) => spread(results.map(figure));
    return {
      name,
      seconds: of(({ seconds }) => seconds),
      start: of(({ start }) => start),
      beyondStart: of(({ seconds, start }) => seconds - start),
      inFlight: of((round) => round.inFlight),
      repeats: of(({ repeats }) => repeats),
    };
  }),
});

const linesOf = ({ rows }: Figures): string[] => [
  ...columns(
    ['Takeover, s', 'to final', 'min', 'max', 'start', 'beyond it', 'min', 'max', 'in flight', 'repeats'],
    rows.map(({ name, seconds, start, beyondStart, inFlight: flying, repeats }) => [
      name,
      ...[
        seconds.median,
        seconds.min,
        seconds.max,
        start.median,
        beyondStart.median,
        beyondStart.min,
        beyondStart.max,
      ].map(decimals(2)),
      whole(flying.median),
      whole(repeats.median),
    ]),
  ),
  `${todos} todos, ${inFlight} in flight, the worker killed with SIGKILL at audit entry ${killAt} (the new one at ${killAgainAt}): from the last kill`,
  `until every run is final. The start is that of a worker with nothing to do. Repeats are audit entries under a key that came before.`,
];
