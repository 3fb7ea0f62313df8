import { advance } from '../../engine/interpreter.ts';
import { isFinal, refOf } from '../../engine/run.ts';
import type { Run, Step } from '../../engine/run.ts';
import type { Registry } from '../../machines/registry.ts';
import { amendRuns } from '../amend.ts';
import { defineCommand } from '../command.ts';
import { openCatalogue, openStore } from '../compose.ts';
import { CliError, exitCodes } from '../exit.ts';
import { readIds } from '../find.ts';

export const cancel = defineCommand({
  name: 'cancel',
  summary: 'End unfinished runs. What they have done already stays done.',
  args: [['<id...>', 'ids, or beginnings of ids that are unique; "-" reads them from stdin']],
  settings: ['store', 'machines'],
  examples: ['cancel 0199f0c2', 'list --state retryingAudit -o ids | holdfast cancel -'],
  async run({ io, settings }, _options, [ids]) {
    const registry = await openCatalogue(settings);
    const { db, store } = openStore(settings);
    try {
      const step = (run: Run) => cancelStep(registry, run);
      return await amendRuns(
        store,
        await readIds(ids as string[], io),
        { step, done: ({ state }) => state },
        io,
      );
    } finally {
      db.close();
    }
  },
});

const cancelStep = (registry: Registry, run: Run): Step | string => {
  if (run.status === 'cancelled') return 'cancelled before';
  if (isFinal(run))
    throw new CliError(exitCodes.failed, `${run.id} is ${run.status}: there is nothing left to cancel`);
  const machine = registry.get(refOf(run));
  if (!machine)
    throw new CliError(
      exitCodes.usage,
      `${run.id} runs on ${refOf(run)}, which is not known here: name its module with --machines`,
    );
  const step = advance(machine, run, { type: 'cancelled' }, { now: Date.now, random: Math.random });
  if (!step)
    throw new CliError(exitCodes.failed, `${run.id}: ${machine.ref} takes no "cancel" in state ${run.state}`);
  return step;
};
