import { setTimeout as delay } from 'node:timers/promises';
import { openArchive } from '../src/cli/compose.ts';
import type { Archive, CensusRow } from '../src/store/store.ts';
import { defineBench } from './bench.ts';
import type { Bench } from './bench.ts';
import { startChild } from './child.ts';
import type { Child, Usage } from './child.ts';
import { now } from './clock.ts';
import type { Seen } from './moody-receiver.ts';
import { inFlight, number } from './options.ts';
import { fill, openSubject } from './subject.ts';
import { columns, decimals, whole } from './table.ts';

type Options = {
  inFlight: number;
  /** How many runs wait for the receiver. */
  runs: number;
  /** How long the outage is watched once they all wait, in seconds. */
  seconds: number;
  /** How many entries the receiver takes at once when it is back. */
  capacity: number;
};

type Figures = {
  readonly runs: number;
  readonly requestsPerMinute: number;
  /** Of one core, in percent. */
  readonly cpu: number;
  /** Bytes: the most that the worker ever had. */
  readonly memory: number;
  /** Seconds from its return to the probe that finds it, and from there until every run is done. */
  readonly foundAfter: number;
  readonly drainedAfter: number;
  readonly peak: number;
  readonly overloads: number;
  readonly repeats: number;
};

/** How often the store is asked whether all runs wait, in ms: no queue tells. */
const askMs = 1000;

/** What an outage of the audit service costs, and how its backlog drains. On the embedded queue. */
export const outageBench = defineBench<Options, Figures, Options>({
  name: 'outage',
  summary: 'what it costs that the audit service is away, and how the backlog drains',
  options: [
    inFlight,
    number('--runs <n>', 'runs that wait for the audit service', 100_000),
    number('--capacity <n>', 'entries that it takes at once when it is back', 50),
    number('--seconds <n>', 'how long the outage is watched', 60),
  ],
  examples: ['outage', 'outage --runs 10000 --capacity 20', 'outage -o json'],
  settings: ({ inFlight: most, runs, capacity, seconds }) => ({ inFlight: most, runs, capacity, seconds }),
  measure: (bench, options) => outage(bench, options),
  words: (settings) => ['one round', `${settings.inFlight} in flight`, `watched for ${settings.seconds} s`],
  lines: (figures, settings) => linesOf(figures, settings),
});

const outage = async (bench: Bench, options: Options): Promise<Figures> => {
  const receiver = await startChild('moody-receiver.ts', []);
  const auditUrl = await receiver.ask<string>('url');
  const subject = openSubject('embedded', { ...bench, ...options, auditUrl });
  try {
    await fill(subject, options.runs);
    const worker = await subject.start();
    const { archive, db } = openArchive(subject.place)!;
    const figures = await watch({ worker, receiver, archive }, options, bench.progress);
    db.close();
    await worker.stop();
    await receiver.stop();
    return figures;
  } finally {
    await subject.close();
  }
};

type Parts = { worker: Child; receiver: Child; archive: Archive };

const watch = async (
  { worker, receiver, archive }: Parts,
  { runs, seconds, capacity }: Options,
  progress: (line: string) => void,
): Promise<Figures> => {
  await until(archive, runs, ({ state }) => state === 'sendingAudit' || state === 'retryingAudit');
  await delay(2 * askMs); // the last probes of those who came late
  progress(`outage: ${whole(runs)} runs wait`);
  await receiver.ask('seen');
  const before = await worker.ask<Usage>('usage');
  await delay(seconds * 1000);
  const { requests } = await receiver.ask<Seen>('seen');
  const after = await worker.ask<Usage>('usage');
  const [told] = await archive.outages();
  progress(`outage: ${requests} requests in ${seconds} s; ${whole(told?.waiting ?? 0)} wait in the line`);
  const back = now();
  await receiver.ask('back', capacity);
  await receiver.ask('reached', 1);
  const foundAfter = (now() - back) / 1000;
  await receiver.ask('reached', runs);
  await until(archive, runs, ({ status }) => status === 'done');
  const drainedAfter = (now() - back) / 1000 - foundAfter;
  const { peak, overloads, taken, repeats } = await receiver.ask<Seen>('seen');
  if (taken !== runs) throw new Error(`${runs} audit entries were expected, ${taken} were taken`);
  return {
    runs,
    requestsPerMinute: (requests * 60) / seconds,
    cpu: (after.cpu - before.cpu) / (10 * seconds),
    memory: after.memory,
    foundAfter,
    drainedAfter,
    peak,
    overloads,
    repeats,
  };
};

const until = async (
  archive: Archive,
  wanted: number,
  counts: (row: CensusRow) => boolean,
): Promise<void> => {
  for (;;) {
    const found = (await archive.census()).filter(counts).reduce((sum, { count }) => sum + count, 0);
    if (found === wanted) return;
    await delay(askMs);
  }
};

const linesOf = (
  { runs, requestsPerMinute, cpu, memory, foundAfter, drainedAfter, peak, overloads, repeats }: Figures,
  { capacity }: Options,
): string[] => [
  ...columns(
    [`${whole(runs)} runs wait for the audit service`, ''],
    [
      ['requests a minute that its port sees', whole(requestsPerMinute)],
      ['CPU of the worker, % of a core', decimals(1)(cpu)],
      ['most memory of the worker, MiB', whole(memory / 2 ** 20)],
      ['back: seconds until a probe finds it', decimals(1)(foundAfter)],
      ['from there: seconds until every run is done', decimals(1)(drainedAfter)],
      ['from there: runs a second', whole(runs / drainedAfter)],
      [`back: most requests at once (it takes ${capacity})`, whole(peak)],
      ['back: requests beyond that, refused', whole(overloads)],
      ['entries that came again under their key', whole(repeats)],
    ],
  ),
];
