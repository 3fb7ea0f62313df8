import { arrived, defineBench, inTurn } from '../bench.ts';
import type { Bench } from '../bench.ts';
import type { Usage } from '../child.ts';
import type { Arrivals } from '../receiver.ts';
import { inFlight, number, optionalNumber, optionalText, rounds, someOf } from '../options.ts';
import type { Surroundings } from '../subject.ts';
import { whole } from '../table.ts';
import { openOurs, openPeer } from './contender.ts';
import type { Contender, PeerSurroundings } from './contender.ts';
import { peerNames } from './peer.ts';
import type { Peer, PeerName } from './peer.ts';
import { descendantsOf } from './process-tree.ts';
import { figuresOf, linesOf, plotOf } from './report.ts';
import type { Absent, Entrant, Figures, Round } from './report.ts';
import { postgresSettings, redisSettings, restateSettings } from './servers.ts';
import { installPackages, installRedis, versionOf } from './setup.ts';

/** By name, what `--only` chooses from. */
const contenderNames = ['floor', 'holdfast', ...peerNames] as const;
type ContenderName = (typeof contenderNames)[number];

type Options = {
  readonly rounds: number;
  readonly inFlight: number;
  readonly only?: readonly ContenderName[];
  /** How long one measurement is meant to take; its number of todos follows from a first try. */
  readonly seconds: number;
  /** The same number for all instead. */
  readonly todos?: number;
  readonly absurdSchema?: string;
};

type Settings = Pick<Options, 'rounds' | 'inFlight' | 'todos'> & { readonly seconds?: number };

export const peersBench = defineBench<Options, Figures, Settings>({
  name: 'peers',
  summary: 'the same work on other products and on Holdfast',
  options: [
    rounds(5),
    inFlight,
    number('--seconds <n>', 'how long one measurement takes, about', 10),
    optionalNumber('--todos <n>', 'the same number of todos for all instead'),
    someOf('--only <name...>', 'measure these alone', contenderNames),
    optionalText('--absurd-schema <file>', "absurd's absurd.sql, which npm does not have"),
  ],
  examples: ['peers', 'peers --only holdfast dbos restate', 'peers --seconds 30 -o json'],
  settings: ({ rounds: n, inFlight: most, seconds, todos }) => ({
    rounds: n,
    inFlight: most,
    ...(todos === undefined ? { seconds } : { todos }),
  }),
  measure: (bench, options) => measureAll(bench, options),
  words: (settings) => [
    `${settings.rounds} rounds in turn, medians`,
    settings.todos === undefined
      ? `about ${settings.seconds} s a round for each`
      : `${whole(settings.todos)} todos a round for each`,
  ],
  lines: (figures) => linesOf(figures),
  plot: (figures) => plotOf(figures),
});

/** A contender and how it is opened for one measurement. */
type Entry = Entrant & { readonly open: () => Promise<Contender> };

type Counts = { readonly warmup: number; readonly todos: number };

/**
 * Todos a second with the queue never empty, of Holdfast and of others that do the same work, in turn. The queue is
 * filled before the work begins, so that nobody else needs the CPU; the clock runs from the audit entry that ends
 * the warm-up to the last one. A slow one gets fewer todos, so that each is measured for about as long.
 */
const measureAll = async (bench: Bench, options: Options): Promise<Figures> => {
  const { entries, absent } = await enter(bench, options);
  const counts = new Map<string, Counts>();
  const found = new Map<string, Round[]>(entries.map(({ name }) => [name, []]));
  const inRace = () => entries.filter(({ name }) => !absent.some((one) => one.name === name));
  const attempt = async (entry: Entry, task: () => Promise<void>) => {
    try {
      await task();
    } catch (error) {
      if (entry.name in ours) throw error;
      const reason = error instanceof Error ? error.message : String(error);
      absent.push({ name: entry.name, title: entry.title, reason });
      bench.progress(`peers: ${entry.title} is out: ${reason}`);
    }
  };
  for (const entry of inRace())
    await attempt(entry, async () => {
      const { todos } = options;
      const size = todos === undefined ? await sizeFor(entry, bench, options.seconds) : sizeOf(todos);
      counts.set(entry.name, size);
      bench.progress(`peers: ${entry.title}: ${whole(size.todos)} todos a round`);
    });
  for (let round = 1; round <= options.rounds; round++)
    for (const entry of inTurn(inRace(), round))
      await attempt(entry, async () => {
        const result = await measure(entry, bench, counts.get(entry.name)!);
        found.get(entry.name)!.push(result);
        bench.progress(
          `peers, round ${round} of ${options.rounds}: ${entry.title} ${whole(result.perSecond)}/s in ${result.seconds.toFixed(1)} s`,
        );
      });
  return figuresOf(inRace(), found, absent);
};

/** A peer that cannot be here is named with its reason. */
const enter = async (
  bench: Bench,
  { only, absurdSchema, inFlight: most }: Options,
): Promise<{ entries: Entry[]; absent: Absent[] }> => {
  const entries: Entry[] = [];
  const absent: Absent[] = [];
  const surroundings = { ...bench, inFlight: most };
  for (const name of contenderNames.filter((one) => only === undefined || only.includes(one))) {
    if (name === 'floor' || name === 'holdfast') entries.push(enterOurs(name, surroundings));
    else {
      const reason = whyNot(name, bench, absurdSchema);
      if (reason === undefined)
        entries.push(await enterPeer(name, { ...surroundings, schema: absurdSchema }));
      else absent.push({ name, title: name, reason });
    }
  }
  return { entries, absent };
};

const whyNot = (
  name: PeerName,
  { progress }: Bench,
  absurdSchema: string | undefined,
): string | undefined => {
  installPackages(progress);
  if (name === 'bullmq') return installRedis(progress);
  if (name === 'absurd' && absurdSchema === undefined)
    return 'npm has its SDK, not its schema: name the absurd.sql of the same version with --absurd-schema';
  return undefined;
};

const enterOurs = (name: 'floor' | 'holdfast', surroundings: Surroundings): Entry => ({
  name,
  ...ours[name],
  settings: { inFlight: surroundings.inFlight },
  sources: [],
  versions: {},
  open: () => openOurs(name, surroundings),
});

const ours = {
  floor: { title: 'the floor', kind: 'no store, no steps', durability: 'none; the message is in RabbitMQ' },
  holdfast: {
    title: 'Holdfast on RabbitMQ',
    kind: 'durable steps',
    durability: 'SQLite WAL, synchronous=FULL; quorum queue',
  },
} as const;

const enterPeer = async (name: PeerName, surroundings: PeerSurroundings): Promise<Entry> => {
  // By a name that the type checker cannot follow: the peers' packages need not be there for it.
  const { peer } = (await import(`./${name}.ts`)) as { peer: Peer };
  const { title, kind, durability, settings, sources, packages, server } = peer;
  return {
    name,
    title,
    kind,
    durability,
    settings: { ...settings, ...(server && { [server]: serverSettings[server] }) },
    sources,
    versions: Object.fromEntries(packages.map((one) => [one, versionOf(one)])),
    open: () => openPeer(name, peer, surroundings),
  };
};

const serverSettings = { postgres: postgresSettings, redis: redisSettings, restate: restateSettings };

/** Long enough for code to be compiled and caches to be filled. */
const warmupSeconds = 3;

const sizeOf = (todos: number): Counts => ({ warmup: Math.max(200, Math.ceil(todos / 4)), todos });

/** Several times what is in flight at once: fewer are done in one burst, which tells nothing of the rate. */
const least = 1000;

/** Tries with more and more until a measurement takes long enough to tell the rate. */
const sizeFor = async (entry: Entry, bench: Bench, seconds: number): Promise<Counts> => {
  const enough = 2;
  const most = 200_000;
  for (let todos = least; ; todos = Math.min(most, todos * 4)) {
    const tried = await measure(entry, bench, { warmup: todos, todos });
    const worth = (time: number) => Math.max(least, Math.min(most, Math.ceil(tried.perSecond * time)));
    if (tried.seconds >= enough || todos === most)
      return { warmup: worth(warmupSeconds), todos: worth(seconds) };
  }
};

const measure = async ({ open }: Entry, bench: Bench, { warmup, todos }: Counts): Promise<Round> => {
  const { receiver } = bench;
  const all = warmup + todos;
  const contender = await open();
  try {
    await contender.fill(all);
    await contender.start();
    await arrived(receiver, warmup);
    const before = await usageNow(bench);
    await arrived(receiver, all);
    const after = await usageNow(bench);
    const repeatedAlerts = await contender.finish(all);
    const { times, repeats } = await receiver.ask<Arrivals>('take');
    const seconds = (times.at(-1)! - times[warmup - 1]!) / 1000;
    return {
      todos,
      seconds,
      perSecond: todos / seconds,
      cpuMs: before && after && (after.cpu - before.cpu) / todos,
      memory: after?.memory,
      repeats: repeats + repeatedAlerts,
      serverVersion: contender.serverVersion,
    };
  } finally {
    await contender.close();
    await receiver.ask('take'); // what a contender that failed has left
  }
};

/** Of all processes that this measurement started: worker, its server, RabbitMQ; not of the audit receiver. */
const usageNow = async ({ receiver }: Bench): Promise<Usage | undefined> => {
  const all = descendantsOf(process.pid);
  const { cpu } = await receiver.ask<Usage>('usage');
  return all && { cpu: all.cpu - cpu, memory: all.memory };
};
