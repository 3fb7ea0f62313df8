/** `npm run bench`: the floor and Holdfast in turn, in one run on one machine, everything durable. */
import { Command } from 'commander';
import { benchmarks } from './benchmarks.ts';
import { define, say, toCommand } from './command.ts';
import { latencyBench } from './latency.ts';
import { pageCommand } from './page.ts';
import { throughputBench } from './throughput.ts';

const program = new Command('bench')
  .description(
    'Measures Holdfast against the floor: the same consumer, confirmed alert and audit POST without a store.',
  )
  .enablePositionalOptions();
define(program, [throughputBench, latencyBench], ['', '--rounds 7', 'throughput', 'latency --help']);
for (const benchmark of benchmarks) program.addCommand(toCommand(benchmark));
program.addCommand(pageCommand);

try {
  await program.parseAsync();
} catch (error) {
  say(`bench: ${error instanceof Error ? error.message : String(error)}`);
  process.exit(1); // the other processes would keep this one alive; they go with it
}
