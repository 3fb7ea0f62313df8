import { contextOf } from '../../engine/chart.ts';
import type { Run, Transition } from '../../engine/run.ts';
import type { Registry } from '../../machines/registry.ts';
import type { Archive } from '../../store/store.ts';
import { withArchive } from '../archive.ts';
import { defineCommand } from '../command.ts';
import { openCatalogue } from '../compose.ts';
import { findRun } from '../find.ts';
import type { Io } from '../io.ts';
import { outputOption, printJson } from '../output/format.ts';
import { iso } from '../output/time.ts';
import { printRun } from '../output/run.ts';
import { waitingForOf } from '../waiting.ts';
import type { WaitingFor } from '../waiting.ts';

export type InspectOptions = { readonly output: 'text' | 'json' };

type Parts = {
  readonly archive: Pick<Archive, 'get' | 'find' | 'history' | 'outages'>;
  readonly registry: Registry;
  readonly io: Io;
  readonly now?: () => number;
};

export const inspectCommand = defineCommand<InspectOptions, [id: string]>({
  name: 'inspect',
  summary: 'Show a run: its state, its data, what it waits for, and its timeline.',
  args: [['<id>', 'an id, or the beginning of one that is unique']],
  settings: ['store', 'machines'],
  options: (command) => command.addOption(outputOption(['text', 'json'])),
  examples: ['inspect 0199f0c2', 'inspect 0199f0c2 -o json | jq .history'],
  async run({ io, settings }, options, [id]) {
    const registry = await openCatalogue(settings);
    await withArchive(settings, ({ archive }) => inspect({ archive, registry, io }, id, options));
  },
});

/** Prints one run with its history. @throws CliError notFound */
export const inspect = async (
  { archive, registry, io, now = Date.now }: Parts,
  id: string,
  { output }: InspectOptions,
): Promise<void> => {
  const run = await findRun(archive, id);
  const history = await archive.history(run.id);
  const waitingFor = waitingForOf(registry, run, await archive.outages());
  if (output === 'json') printJson(io, toJson(run, waitingFor, history));
  else printRun(io, { run, waitingFor, history, now: now() });
};

const toJson = (run: Run, waitingFor: WaitingFor, history: readonly Transition[]) => ({
  id: run.id,
  machine: run.machine,
  version: run.version,
  status: run.status,
  state: run.state,
  seq: run.seq,
  input: JSON.parse(run.input) as unknown,
  context: contextOf(run.snapshot),
  waitingFor,
  reason: run.reason,
  createdAt: iso(run.createdAt),
  updatedAt: iso(run.updatedAt),
  history: history.map(({ seq, at, event, from, to, duration, attempt, error, receipt }) => ({
    seq,
    at: iso(at),
    event,
    from,
    to,
    durationMs: duration,
    attempt,
    error,
    receipt,
  })),
});
