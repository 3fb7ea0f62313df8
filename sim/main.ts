/** `npm run simulate`: seeded histories of the real engine, worker loop, store and queue adapters in virtual time. */
import { availableParallelism } from 'node:os';
import { Command, InvalidArgumentError, Option } from 'commander';
import { playBatch } from './batch.ts';
import { countsLine, failureLines, progressLine } from './report.ts';
import { simulate } from './simulation.ts';
import type { SimulationResult, Sum } from './simulation.ts';

type Options = {
  seed?: number;
  runs?: number;
  transitions?: number;
  seconds?: number;
  path?: string;
  jobs: number;
  output: 'text' | 'json';
};

/** How often progress is told where there is no terminal, in ms. */
const quietMs = 10_000;

const whole = (text: string): number => {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 0)
    throw new InvalidArgumentError('It must be a whole number from 0.');
  return value;
};

const run = async ({ seed = Date.now() % 1_000_000_000, path, ...options }: Options): Promise<number> => {
  if (path !== undefined) return replay(seed, path);
  const { runs, transitions, seconds, jobs, output } = options;
  const isBounded = runs !== undefined || transitions !== undefined || seconds !== undefined;
  if (output === 'text') say(`seed ${seed}`);
  const result = await simulate({
    seed,
    jobs,
    runs: isBounded ? runs : 10_000,
    transitions,
    time: seconds === undefined ? undefined : seconds * 1000,
    onProgress: progress(),
  });
  if (output === 'json') say(JSON.stringify(result));
  else tell(result);
  return result.failure ? 1 : 0;
};

const tell = (result: SimulationResult): void => {
  say(progressLine(result));
  say(`runs that ended: ${countsLine(result.ended)}`);
  say(`with a broker, histories came to: ${countsLine(result.reached.amqp)}`);
  say(`with the embedded queue: ${countsLine(result.reached.embedded)}`);
  say(`trace ${result.hash}`);
  if (result.failure) for (const line of ['', ...failureLines(result.failure)]) say(line);
};

const replay = async (seed: number, path: string): Promise<number> => {
  const { failure } = await playBatch({ seed, path, runs: 1 });
  for (const line of failure ? failureLines(failure) : [`no promise is broken by seed ${seed} at ${path}`])
    say(line);
  return failure ? 1 : 0;
};

const progress = (): ((sum: Sum) => void) => {
  let told = 0;
  return (sum) => {
    if (process.stderr.isTTY) process.stderr.write(`\r${progressLine(sum)}\u001b[K\r`);
    else if (sum.elapsed - told > quietMs) {
      process.stderr.write(`${progressLine(sum)}\n`);
      told = sum.elapsed;
    }
  };
};

const say = (line: string): void => void process.stdout.write(`${line}\n`);

const program = new Command('simulate')
  .description(
    'Plays seeded histories in virtual time, each with troubles of its own, and checks every promise after each.',
  )
  .option('--seed <n>', 'where to begin; a fresh one by default', whole)
  .option('--runs <n>', 'how many histories: 10,000 where nothing else bounds it', whole)
  .option('--transitions <n>', 'how many committed transitions', whole)
  .option('--seconds <n>', 'how long', whole)
  .option('--path <path>', 'one history of the seed, as a failure names it')
  .option('--jobs <n>', 'how many threads play', whole, availableParallelism())
  .addOption(new Option('-o, --output <format>').choices(['text', 'json']).default('text'))
  .addHelpText(
    'after',
    `
Examples:
  $ npm run simulate
  $ npm run simulate -- --seed 7 --runs 1000
  $ npm run simulate -- --seconds 60 -o json
  $ npm run simulate:faults

It exits with 1 when a promise is broken, and prints the shortest history that breaks it.`,
  )
  .action(async (options: Options) => {
    process.exitCode = await run(options);
  });
await program.parseAsync();
