/** `npm run bench`: the floor and Holdfast in turn, in one run on one machine, everything durable. */
import { Command } from 'commander';
import { define, say, toCommand } from './command.ts';
import { growthBench } from './growth.ts';
import { latencyBench } from './latency.ts';
import { outageBench } from './outage.ts';
import { peersBench } from './peers/peers.ts';
import { resumeBench } from './resume.ts';
import { slowDiskBench } from './slow-disk.ts';
import { takeoverBench } from './takeover.ts';
import { throughputBench } from './throughput.ts';
import { waitingBench } from './waiting.ts';

const program = new Command('bench')
  .description(
    'Measures Holdfast against the floor: the same consumer, confirmed alert and audit POST without a store.',
  )
  .enablePositionalOptions();
define(program, [throughputBench, latencyBench], ['', '--rounds 7', 'throughput', 'latency --help']);
for (const benchmark of [
  throughputBench,
  latencyBench,
  growthBench,
  resumeBench,
  waitingBench,
  slowDiskBench,
  takeoverBench,
  outageBench,
  peersBench,
])
  program.addCommand(toCommand(benchmark));

try {
  await program.parseAsync();
} catch (error) {
  say(`bench: ${error instanceof Error ? error.message : String(error)}`);
  process.exit(1); // the other processes would keep this one alive; they go with it
}
