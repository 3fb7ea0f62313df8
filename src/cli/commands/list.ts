import { Option } from 'commander';
import { refOf, statuses } from '../../engine/run.ts';
import type { Run, Status } from '../../engine/run.ts';
import type { Archive } from '../../store/store.ts';
import { withArchiveOrEmpty } from '../archive.ts';
import { defineCommand } from '../command.ts';
import { say } from '../io.ts';
import type { Io } from '../io.ts';
import { limitOption, outputOption, printId, printJson, printJsonLine } from '../output/format.ts';
import { safe } from '../output/safe.ts';
import { paint, statusStyle } from '../output/style.ts';
import { printTable } from '../output/table.ts';
import { age, iso } from '../output/time.ts';

export type ListOptions = {
  readonly state?: string;
  readonly status?: Status;
  readonly machine?: string;
  readonly limit: number;
  readonly output: 'table' | 'json' | 'jsonl' | 'ids';
};

type Parts = {
  readonly archive: Pick<Archive, 'list' | 'census'>;
  readonly io: Io;
  readonly now?: () => number;
};

export const listCommand = defineCommand<ListOptions>({
  name: 'list',
  summary: 'List runs, those that changed last first.',
  settings: ['store'],
  options: (command) =>
    command
      .option('--state <state>', 'only those in this state')
      .addOption(new Option('--status <status>', 'only those of this status').choices(statuses))
      .option('--machine <id>', 'only those of this machine, every version')
      .addOption(limitOption(50, 'how many at most'))
      .addOption(outputOption(['table', 'json', 'jsonl', 'ids'])),
  examples: [
    'list',
    'list --status failed',
    'list --state retryingAudit -o ids | holdfast cancel -',
    'list -o jsonl --limit 1000 | jq .state',
  ],
  run: (context, options) =>
    withArchiveOrEmpty(context, (archive) => list({ archive, io: context.io }, options)),
});

/** Prints runs; where there are more than the limit, stderr says so. */
export const list = async (
  { archive, io, now = Date.now }: Parts,
  { limit, output, ...filter }: ListOptions,
): Promise<void> => {
  const found = await archive.list({ ...filter, limit: limit + 1 });
  const runs = found.slice(0, limit);
  if (output === 'json') printJson(io, runs.map(summary));
  if (output === 'jsonl') for (const run of runs) printJsonLine(io, summary(run));
  if (output === 'ids') for (const { id } of runs) printId(io, id);
  if (output === 'table') printRuns(io, runs, now());
  if (runs.length === 0) say(io, await nothingFound(archive, filter));
  if (found.length > limit)
    say(
      io,
      `There are more than these ${limit}: raise --limit, or narrow it down with --state, --status or --machine.`,
    );
};

/** A state that nobody ever heard of is a slip of the pen, as often as not. */
const nothingFound = async (
  archive: Pick<Archive, 'census'>,
  { state }: Pick<ListOptions, 'state'>,
): Promise<string> => {
  if (state === undefined) return 'No runs.';
  const states = [...new Set((await archive.census()).map((row) => row.state))];
  if (states.length === 0 || states.includes(state)) return 'No runs.';
  return `No runs. The state "${safe(state)}" has none; there are runs in ${states.map(safe).join(', ')}.`;
};

/** A run without its data: `inspect` has that. */
const summary = ({ id, machine, version, status, state, seq, input, reason, createdAt, updatedAt }: Run) => ({
  id,
  machine,
  version,
  status,
  state,
  seq,
  input: JSON.parse(input) as unknown,
  reason,
  createdAt: iso(createdAt),
  updatedAt: iso(updatedAt),
});

const printRuns = (io: Io, runs: readonly Run[], now: number): void => {
  if (runs.length === 0) return;
  // One machine is the rule: its name in every line would tell nothing.
  const hasSeveral = new Set(runs.map(refOf)).size > 1;
  const machine = hasSeveral ? [{ head: 'MACHINE', shrinks: true }] : [];
  const columns = [
    { head: 'ID' },
    ...machine,
    { head: 'STATE' },
    { head: 'UPDATED', align: 'right' as const },
    { head: 'INPUT', shrinks: true },
  ];
  const rows = runs.map((run) => [
    safe(run.id),
    ...(hasSeveral ? [safe(refOf(run))] : []),
    paint(io, statusStyle[run.status], safe(run.state)),
    age(run.updatedAt, now),
    safe(inputText(run)),
  ]);
  printTable(io, columns, rows);
};

/** What the run is about, in a line: its title where it has one. */
const inputText = ({ input }: Run): string => {
  const value: unknown = JSON.parse(input);
  const title = typeof value === 'object' && value !== null && 'title' in value ? value.title : undefined;
  return typeof title === 'string' ? title : input;
};
