import { statuses } from '../../engine/run.ts';
import type { Status } from '../../engine/run.ts';
import type { Archive, CensusRow } from '../../store/store.ts';
import { withArchiveOrEmpty } from '../archive.ts';
import { defineCommand } from '../command.ts';
import { print, say } from '../io.ts';
import type { Io } from '../io.ts';
import { outputOption, printJson } from '../output/format.ts';
import { safe } from '../output/safe.ts';
import { paint, statusStyle } from '../output/style.ts';
import { printTable } from '../output/table.ts';
import { age, iso, shownTime } from '../output/time.ts';

export type CensusOptions = { readonly output: 'table' | 'json' };

type Parts = { readonly archive: Pick<Archive, 'census'>; readonly io: Io; readonly now?: () => number };

export const censusCommand = defineCommand<CensusOptions>({
  name: 'census',
  summary: 'Count the runs in each state, and tell since when the oldest is there.',
  settings: ['store'],
  options: (command) => command.addOption(outputOption(['table', 'json'])),
  examples: ['census', 'census -o json | jq .totals'],
  run: (context, options) =>
    withArchiveOrEmpty(context, (archive) => census({ archive, io: context.io }, options)),
});

/** Prints how many runs are in which state, unfinished ones first, and the totals. */
export const census = async (
  { archive, io, now = Date.now }: Parts,
  { output }: CensusOptions,
): Promise<void> => {
  const rows = (await archive.census()).toSorted(byStatus);
  if (output === 'json') {
    const states = rows.map((row) => ({ ...row, oldest: iso(row.oldest) }));
    return printJson(io, { states, totals: totalsOf(rows) });
  }
  if (rows.length === 0) return say(io, 'No runs.');
  printStates(io, rows, now());
  print(io, '');
  print(io, totalsText(rows));
};

const byStatus = (one: CensusRow, two: CensusRow): number =>
  statuses.indexOf(one.status) - statuses.indexOf(two.status) || one.oldest - two.oldest;

type Totals = Record<Status | 'total', number>;

const totalsOf = (rows: readonly CensusRow[]): Totals => {
  const totals: Totals = { total: 0, active: 0, done: 0, failed: 0, cancelled: 0 };
  for (const { status, count } of rows) {
    totals[status] += count;
    totals.total += count;
  }
  return totals;
};

const totalsText = (rows: readonly CensusRow[]): string => {
  const { total, ...byEach } = totalsOf(rows);
  const parts = statuses
    .filter((status) => byEach[status] > 0)
    .map((status) => `${byEach[status]} ${status}`);
  return `${total} ${total === 1 ? 'run' : 'runs'}: ${parts.join(', ')}`;
};

const printStates = (io: Io, rows: readonly CensusRow[], now: number): void => {
  const columns = [
    { head: 'MACHINE', shrinks: true },
    { head: 'STATE', shrinks: true },
    { head: 'RUNS', align: 'right' as const },
    { head: 'OLDEST SINCE' },
    { head: 'AGE', align: 'right' as const },
  ];
  const cells = rows.map(({ machine, version, status, state, count, oldest }) => [
    safe(`${machine}@${version}`),
    paint(io, statusStyle[status], safe(state)),
    String(count),
    shownTime(io, oldest),
    age(oldest, now),
  ]);
  printTable(io, columns, cells);
};
