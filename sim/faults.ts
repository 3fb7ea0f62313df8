/** `npm run simulate:faults`: plants known bugs, one after the other, and shows which history catches each. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import path from 'node:path';
import { Command } from 'commander';
import { messageOf } from '../src/engine/errors.ts';
import { columns, whole } from '../bench/table.ts';
import { faults, withFault } from './planted.ts';
import type { Fault } from './planted.ts';
import type { SimulationResult } from './simulation.ts';

type Options = { seed: string; runs: string };

const run = async (names: readonly string[], options: Options): Promise<number> => {
  const chosen = faults().filter(({ name }) => names.length === 0 || names.includes(name));
  const rows: string[][] = [];
  let missed = 0;
  for (const fault of chosen) {
    const { histories, failure } = await simulate(fault, options);
    if (!failure) missed += 1;
    const broke = failure ? failure.violations[0]!.split(':')[0]! : 'NOT CAUGHT';
    rows.push([fault.name, String(failure?.seed ?? '-'), whole(histories), broke]);
    process.stderr.write(`${fault.name}: ${failure?.violations[0] ?? 'not caught'}\n`);
  }
  const head = ['planted fault', 'seed', 'histories', 'broken promise'];
  const sum = `${chosen.length - missed} of ${chosen.length} planted faults are caught`;
  process.stdout.write(`${[...columns(head, rows), sum].join('\n')}\n`);
  return missed === 0 ? 0 : 1;
};

/** One thread, so that the figures are the same each time. */
const simulate = (fault: Fault, { seed, runs }: Options): Promise<SimulationResult> =>
  withFault(fault, async (copy) => {
    const args = [
      path.join(copy, 'sim/main.ts'),
      '--seed',
      seed,
      '--runs',
      runs,
      '--jobs',
      '1',
      '-o',
      'json',
    ];
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    const [output] = await Promise.all([text(child.stdout), once(child, 'exit')]);
    return JSON.parse(output) as SimulationResult;
  });

const program = new Command('simulate:faults')
  .description(
    'Plants known bugs in a copy of the source and shows by which seed the simulator catches each.',
  )
  .argument('[name...]', 'all of them by default')
  .option('--seed <n>', 'where to begin', '1')
  .option('--runs <n>', 'after how many histories a fault counts as not caught', '20000')
  .action(async (names: string[], options: Options) => {
    process.exitCode = await run(names, options);
  });
try {
  await program.parseAsync();
} catch (error) {
  // A patch that no longer applies: git says which, and where.
  process.stderr.write(`simulate:faults: ${messageOf(error).trim()}\n`);
  process.exitCode = 1;
}
