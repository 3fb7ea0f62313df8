import { redrive } from '../../engine/interpreter.ts';
import { messageOf } from '../../engine/errors.ts';
import { refOf } from '../../engine/run.ts';
import type { Run, Step } from '../../engine/run.ts';
import type { Registry } from '../../machines/registry.ts';
import { amendRuns } from '../amend.ts';
import { defineCommand } from '../command.ts';
import { openCatalogue, openStore } from '../compose.ts';
import { CliError, exitCodes } from '../exit.ts';
import { readIds } from '../find.ts';

export const retry = defineCommand<{ from?: string }>({
  name: 'retry',
  summary: 'Put failed runs back to the step that failed, or to another one. Keys and history stay.',
  args: [['<id...>', 'ids, or beginnings of ids that are unique; "-" reads them from stdin']],
  settings: ['store', 'machines'],
  options: (command) => command.option('--from <state>', 'the state to go on from'),
  examples: [
    'retry 0199f0c2',
    'retry 0199f0c2 --from sendingAlert',
    'list --status failed -o ids | holdfast retry -',
  ],
  async run({ io, settings }, { from }, [ids]) {
    const registry = await openCatalogue(settings);
    const { db, store } = openStore(settings);
    try {
      const step = (run: Run) => retryStep(registry, run, from);
      return await amendRuns(store, await readIds(ids as string[], io), { step, done }, io);
    } finally {
      db.close();
    }
  },
});

const done = ({ state }: Run): string => `goes on from ${state} as soon as a worker runs`;

const retryStep = (registry: Registry, run: Run, from: string | undefined): Step => {
  const machine = registry.get(refOf(run));
  if (!machine)
    throw new CliError(
      exitCodes.usage,
      `${run.id} runs on ${refOf(run)}, which is not known here: name its module with --machines`,
    );
  try {
    return redrive(machine, run, { now: Date.now, random: Math.random }, from);
  } catch (error) {
    throw new CliError(exitCodes.failed, messageOf(error), { cause: error });
  }
};
