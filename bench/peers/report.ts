import { bars, plot } from '../plot.ts';
import { spread } from '../stats.ts';
import type { Spread } from '../stats.ts';
import { columns, decimals, whole } from '../table.ts';

/** What is said of one that takes part. */
export type Entrant = {
  readonly name: string;
  readonly title: string;
  readonly kind: string;
  readonly durability: string;
  readonly settings: Readonly<Record<string, unknown>>;
  readonly sources: readonly string[];
  readonly versions: Readonly<Record<string, string>>;
};

/** One that takes no part, and why. */
export type Absent = { readonly name: string; readonly title: string; readonly reason: string };

export type Round = {
  readonly todos: number;
  readonly seconds: number;
  readonly perSecond: number;
  /** A todo, over all processes. */
  readonly cpuMs: number | undefined;
  readonly memory: number | undefined;
  /** Alerts and audit entries under a key that came before. */
  readonly repeats: number;
  readonly serverVersion: string | undefined;
};

type PeerFigures = Entrant & {
  readonly todosPerRound: number;
  readonly perSecond: Spread;
  /** How many times as fast Holdfast was in the same round. */
  readonly holdfastTimes: Spread | undefined;
  readonly cpuMsPerTodo: Spread | undefined;
  readonly memoryMiB: Spread | undefined;
  readonly repeats: number;
};

export type Figures = { readonly peers: readonly PeerFigures[]; readonly absent: readonly Absent[] };

export const figuresOf = (
  entrants: readonly Entrant[],
  rounds: ReadonlyMap<string, readonly Round[]>,
  absent: readonly Absent[],
): Figures => {
  const holdfast = rounds.get('holdfast');
  const of = ({ name, title, kind, durability, settings, sources, versions }: Entrant): PeerFigures => {
    const own = rounds.get(name)!;
    const { serverVersion: server, todos } = own[0]!;
    const some = (figure: (round: Round, index: number) => number | undefined) => {
      const values = own.map(figure).filter((value) => value !== undefined);
      return values.length === 0 ? undefined : spread(values);
    };
    return {
      name,
      title,
      kind,
      durability,
      settings,
      sources,
      versions: { ...versions, ...(server !== undefined && { server }) },
      todosPerRound: todos,
      perSecond: spread(own.map(({ perSecond }) => perSecond)),
      holdfastTimes: some(({ perSecond }, index) => holdfast && holdfast[index]!.perSecond / perSecond),
      cpuMsPerTodo: some(({ cpuMs }) => cpuMs),
      memoryMiB: some(({ memory }) => memory && memory / 2 ** 20),
      repeats: own.reduce((sum, { repeats }) => sum + repeats, 0),
    };
  };
  return { peers: entrants.map(of), absent };
};

export const plotOf = ({ peers }: Figures): string =>
  plot('The same work on other products', [
    bars(
      'todos a second',
      peers.map(({ name, title, perSecond }) => ({
        label: title,
        value: perSecond,
        isOurs: name === 'holdfast',
      })),
      whole,
    ),
  ]);

export const linesOf = ({ peers, absent }: Figures): string[] => [
  ...columns(
    ['Peers', 'todos/s', 'min', 'max', 'Holdfast times', 'min', 'max', 'CPU ms a todo', 'MiB', 'repeats'],
    peers.map(({ title, perSecond, holdfastTimes, cpuMsPerTodo, memoryMiB, repeats }) => [
      title,
      ...[perSecond.median, perSecond.min, perSecond.max].map(whole),
      ...[holdfastTimes?.median, holdfastTimes?.min, holdfastTimes?.max].map(known(decimals(2))),
      known(decimals(2))(cpuMsPerTodo?.median),
      known(whole)(memoryMiB?.max),
      whole(repeats),
    ]),
  ),
  ...absent.map(({ title, reason }) => `${title} takes no part: ${reason}`),
  'CPU and memory are of all its processes, its server and RabbitMQ included.',
  ...peers.flatMap(described),
];

const described = ({ title, kind, durability, settings, sources, versions, todosPerRound }: PeerFigures) => [
  '',
  `${title}: ${kind}; ${whole(todosPerRound)} todos a round`,
  ...Object.entries({
    durable: durability,
    versions: listed(versions),
    settings: listed(settings),
    sources: sources.join(', '),
  })
    .filter(([, text]) => text !== '')
    .map(([name, text]) => `  ${name.padEnd(8)}  ${text}`),
];

const listed = (values: Readonly<Record<string, unknown>>): string =>
  Object.entries(values)
    .map(([name, value]) =>
      typeof value === 'object' && value !== null
        ? `${name} (${listed(value as Record<string, unknown>)})`
        : `${name} ${String(value) || 'none'}`,
    )
    .join(', ');

const known =
  (print: (value: number) => string) =>
  (value: number | undefined): string =>
    value === undefined ? '–' : print(value);
