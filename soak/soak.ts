import { setTimeout as delay } from 'node:timers/promises';
import type { Database } from '../src/sqlite/database.ts';
import type { Transition } from '../src/engine/run.ts';
import type { Mark } from '../src/cli/output/run.ts';
import { Faults } from './faults.ts';
import { canLimitFiles, Fleet } from './fleet.ts';
import { Counts, idsOf, judge } from './ledger.ts';
import type { Ids, SeenEffects, Verdict } from './ledger.ts';
import { Load } from './load.ts';
import { faultPlan } from './plan.ts';
import type { FaultType } from './plan.ts';
import { openSite } from './site.ts';
import type { Site } from './site.ts';

export type SoakOptions = {
  /** `amqp` for a private broker, `embedded`, or the URL of a broker, which is then left alone. */
  readonly queue: string;
  readonly minutes: number;
  /** Todos a second. */
  readonly rate: number;
  readonly workers: number;
  readonly seed: number;
  /** A folder on a disk. */
  readonly dir: string;
};

export type Progress = {
  readonly seconds: number;
  readonly accepted: number;
  readonly backlog: number;
  readonly faults: number;
};

export type SoakResult = Verdict & {
  /** Of the load alone. */
  readonly seconds: number;
  readonly perSecond: number;
  /** The part of the time in which nothing was submitted because too much waited. */
  readonly heldBack: number;
  readonly refusals: number;
  readonly faults: Record<FaultType, number>;
  /** Those that cannot be done here, with the reason. */
  readonly impossible: readonly string[];
  /** What workers said that ended by themselves. */
  readonly ended: readonly string[];
  readonly peakBacklog: number;
  /** Seconds from the submission of a todo until its run was final. */
  readonly toFinal: { readonly p50: number; readonly p99: number; readonly worst: number };
  /** Of this process, in MiB. */
  readonly peakMemory: number;
  /** What became of the first that is lost, phantom or doubled, and what was done to it. */
  readonly story: { id: string; history: readonly Transition[]; marks: readonly Mark[] } | undefined;
};

/** So many seconds of load may wait before no more is submitted. */
const backlogSeconds = 20;

/** After this long without any progress the rest is given up, and counts as lost. In ms. */
const patienceMs = 60_000;

/** Submits, breaks everything again and again, lets it recover by itself, and counts at the receiving ends. */
export const soak = async (
  options: SoakOptions,
  onProgress: (now: Progress) => void,
): Promise<SoakResult> => {
  const prefix = `soak-${options.seed}`;
  const ids = idsOf(prefix);
  const site = await openSite(options.queue, { dir: options.dir, prefix, ids });
  const fleet = new Fleet(site.settings, options.workers);
  try {
    return await play(site, { options, fleet, ids, onProgress });
  } finally {
    await fleet.crash();
    await site.close();
  }
};

type Cast = {
  readonly options: SoakOptions;
  readonly fleet: Fleet;
  readonly ids: Ids;
  readonly onProgress: (now: Progress) => void;
};

const play = async (site: Site, { options, fleet, ids, onProgress }: Cast): Promise<SoakResult> => {
  const { minutes, rate, seed, workers } = options;
  const accepted = new Counts();
  const watch = { backlog: 0, peak: 0 };
  const isTooMuch = () => watch.backlog > rate * backlogSeconds;
  const load = new Load({ queue: site.queue, ids, accepted, rate, isTooMuch });
  const faults = new Faults(site, fleet);
  const { types, impossible } = possibleFaults(site);
  const began = performance.now();
  const ticking = tick(async () => {
    watch.backlog = load.accepted - (await site.receiver.ask<number>('distinct'));
    watch.peak = Math.max(watch.peak, watch.backlog);
    const seconds = (performance.now() - began) / 1000;
    onProgress({ seconds, accepted: load.accepted, backlog: watch.backlog, faults: faults.done.length });
  });
  const end = AbortSignal.timeout(minutes * 60_000);
  await Promise.all([
    load.run(end),
    faults.inflict(faultPlan({ seed, seconds: minutes * 60, workers, types }), end),
  ]);
  const seconds = minutes * 60;
  await allFinal(site.db, load.accepted);
  await allCounted(site, load.accepted);
  await ticking.stop();
  await fleet.drain();
  const { todos, times } = readRuns(site.db, ids, load);
  const audits = await site.receiver.ask<SeenEffects>('seen');
  const verdict = judge({ accepted, todos, alerts: site.alerts.seen(), audits }, ids);
  return {
    ...verdict,
    seconds,
    perSecond: load.accepted / seconds,
    heldBack: load.heldMs / 1000 / seconds,
    refusals: load.refusals,
    faults: countsOf(faults),
    impossible,
    ended: fleet.ended,
    peakBacklog: watch.peak,
    toFinal: times,
    peakMemory: process.resourceUsage().maxRSS / 1024,
    story: await storyOf(site, verdict, faults),
  };
};

const possibleFaults = ({ broker, settings }: Site): { types: Set<FaultType>; impossible: string[] } => {
  const types = new Set<FaultType>(['kill', 'pause', 'receiver']);
  const impossible: string[] = [];
  if (broker) types.add('broker');
  else if (settings.queue === 'embedded') impossible.push('broker: the embedded queue has none');
  else impossible.push('broker: it is not ours to kill');
  if (canLimitFiles()) types.add('disk');
  else impossible.push('disk: there is no prlimit here');
  return { types, impossible };
};

const countsOf = (faults: Faults): Record<FaultType, number> => ({
  kill: faults.count('kill'),
  pause: faults.count('pause'),
  broker: faults.count('broker'),
  receiver: faults.count('receiver'),
  disk: faults.count('disk'),
});

const tick = (look: () => Promise<void>): { stop(): Promise<void> } => {
  const stopping = new AbortController();
  const ticking = (async () => {
    while (!stopping.signal.aborted) {
      await look();
      await delay(1000, undefined, { signal: stopping.signal }).catch(() => {});
    }
  })();
  return {
    stop: async () => {
      stopping.abort();
      await ticking;
    },
  };
};

/** Every accepted todo has a run, and none is unfinished; or nothing has moved for too long. */
const allFinal = (db: Database, accepted: number): Promise<void> =>
  untilZero(() => {
    const row = db.get<{ active: number; runs: number }>(
      `SELECT (SELECT count(*) FROM runs WHERE status = 'active') AS active, (SELECT count(*) FROM runs) AS runs`,
    )!;
    return row.active + Math.max(0, accepted - row.runs);
  });

/** What the receivers were sent last may still be on its way to where it is counted. */
const allCounted = ({ alerts }: Site, accepted: number): Promise<void> =>
  untilZero(() => Math.max(0, accepted - alerts.distinct), 10_000);

const untilZero = async (left: () => number, patience = patienceMs): Promise<void> => {
  let last = -1;
  let movedAt = performance.now();
  for (;;) {
    const now = left();
    if (now === 0) return;
    if (now !== last) movedAt = performance.now();
    last = now;
    if (performance.now() - movedAt > patience) return;
    await delay(500);
  }
};

/** The todos that were saved, and how long the runs took. */
const readRuns = (db: Database, ids: Ids, load: Load): { todos: Counts; times: SoakResult['toFinal'] } => {
  const todos = new Counts();
  for (const { id } of rowsOf<{ id: string }>(db, 'todos', 'id')) {
    const index = ids.index(id);
    if (index !== undefined) todos.add(index);
  }
  const times = new Float64Array(load.accepted);
  let count = 0;
  for (const { id, updated_at } of rowsOf<{ id: string; updated_at: number }>(db, 'runs', 'id, updated_at')) {
    const submittedAt = load.submittedAt(ids.index(id) ?? -1);
    if (submittedAt !== undefined) times[count++] = (updated_at - submittedAt) / 1000;
  }
  const sorted = times.subarray(0, count).toSorted();
  const rank = (part: number) => sorted[Math.max(0, Math.ceil(part * count) - 1)] ?? 0;
  return { todos, times: { p50: rank(0.5), p99: rank(0.99), worst: rank(1) } };
};

/** In pages: they are too many to hold. */
function* rowsOf<Row extends { id: string }>(db: Database, table: string, columns: string): Generator<Row> {
  const size = 10_000;
  const sql = `SELECT ${columns} FROM ${table} WHERE id > :last ORDER BY id LIMIT ${size}`;
  for (let last = ''; ;) {
    const page = db.all<Row>(sql, { last });
    yield* page;
    if (page.length < size) return;
    last = page.at(-1)!.id;
  }
}

const storyOf = async (
  { store }: Site,
  { lost, phantom, doubled }: Verdict,
  faults: Faults,
): Promise<SoakResult['story']> => {
  const [id] = [...lost, ...phantom, ...doubled];
  if (id === undefined) return undefined;
  const history = await store.history(id);
  const [from, to] = [(history[0]?.at ?? 0) - 5000, (history.at(-1)?.at ?? Infinity) + 5000];
  return { id, history, marks: faults.done.filter(({ at }) => at >= from && at <= to) };
};
