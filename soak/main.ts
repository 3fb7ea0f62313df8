/** `npm run soak`: todos without a pause while everything breaks, and the tally of what arrived. */
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import { report } from './report.ts';
import { soak } from './soak.ts';
import type { Progress, SoakOptions } from './soak.ts';

type Options = SoakOptions & { readonly output: 'table' | 'json' };

const positive = (text: string): number => {
  const value = Number(text);
  if (!(value > 0)) throw new InvalidArgumentError('It must be a number above 0.');
  return value;
};

const whole = (text: string): number => {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 0) throw new InvalidArgumentError('It must be a whole number.');
  return value;
};

const program = new Command('soak')
  .description(
    'Submits todos without a pause while workers are killed and stopped, the broker is killed, the audit receiver goes\naway and the disk refuses writes; then counts at the receiving ends what was lost, phantom or doubled.',
  )
  .addOption(new Option('--minutes <m>', 'how long todos are submitted').argParser(positive).default(2))
  .addOption(
    new Option(
      '--queue <queue>',
      '"amqp" for a RabbitMQ of its own, "embedded", or amqp://… which is not killed',
    ).default('amqp'),
  )
  .addOption(
    new Option('--rate <n>', 'todos a second; fewer when too many wait').argParser(positive).default(1000),
  )
  .addOption(new Option('--workers <n>', 'worker processes').argParser(whole).default(3))
  .addOption(
    new Option('--seed <n>', 'decides what happens when')
      .argParser(whole)
      .default(Date.now() % 1_000_000, 'another one each time'),
  )
  .addOption(
    new Option('--dir <folder>', 'where the store and the broker keep their data').default(
      path.join(import.meta.dirname, '.data'),
    ),
  )
  .addOption(
    new Option('-o, --output <format>', 'how the figures are printed')
      .choices(['table', 'json'])
      .default('table'),
  )
  .addHelpText(
    'after',
    `
Examples:
  $ npm run soak -- --minutes 30
  $ npm run soak -- --minutes 2 --queue embedded
  $ npm run soak -- --seed 7 -o json

It exits with 1 when anything is lost, phantom or doubled.`,
  );

const clock = (seconds: number): string =>
  `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, '0')}`;

/** Redrawn every second on a terminal, a line every ten seconds elsewhere. */
const showProgress = ({ seconds, accepted, backlog, faults }: Progress): void => {
  const line = `${clock(seconds)}  ${accepted.toLocaleString('en')} accepted, ${backlog.toLocaleString('en')} of them unfinished, ${faults} faults`;
  if (process.stderr.isTTY) process.stderr.write(`\r\u001b[2K${line}`);
  else if (Math.floor(seconds) % 10 === 0) process.stderr.write(`${line}\n`);
};

process.once('SIGINT', () => process.exit(130));
process.once('SIGTERM', () => process.exit(143));
try {
  const { output, ...options } = program.parse().opts<Options>();
  mkdirSync(options.dir, { recursive: true });
  process.stderr.write(`soak: seed ${options.seed}\n`);
  const result = await soak(options, showProgress);
  if (process.stderr.isTTY) process.stderr.write('\r\u001b[2K');
  report(result, options, output);
  const { lost, phantom, doubled } = result.tally;
  process.exit(lost + phantom + doubled === 0 ? 0 : 1);
} catch (error) {
  process.stderr.write(`soak: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1); // the other processes would keep this one alive; they go with it
}
