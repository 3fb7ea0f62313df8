/** `npm run bench`: the floor and Holdfast in turn, in one run on one machine, everything durable. */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import path from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import { openAmqp } from '../src/queue/amqp/open.ts';
import { quiet } from '../src/cli/log.ts';
import { startBroker } from '../src/cli/broker/broker.ts';
import type { Bench, Result } from './bench.ts';
import { startChild } from './child.ts';
import { latency } from './latency.ts';
import { describeMachine, filesystemOf } from './machine.ts';
import type { Machine } from './machine.ts';
import { outage } from './outage.ts';
import { takeover } from './takeover.ts';
import { throughput } from './throughput.ts';

type Options = {
  rounds: number;
  inFlight: number;
  warmup: number;
  todos: number;
  rate: number;
  seconds: number;
  runs: number;
  capacity: number;
  dir: string;
  cpuProf?: string;
  output: 'table' | 'json';
};

const benches = {
  throughput: (bench: Bench, options: Options) => throughput(bench, options),
  latency: (bench: Bench, options: Options) => latency(bench, options),
  takeover: (bench: Bench) => takeover(bench),
  outage: (bench: Bench, options: Options) => outage(bench, options),
};
type BenchName = keyof typeof benches;

const positive = (text: string): number => {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1)
    throw new InvalidArgumentError('It must be a whole number from 1.');
  return value;
};

const shared = (): Option[] => [
  new Option('--rounds <n>', 'how often each is measured, in turn').argParser(positive).default(3),
  new Option('--dir <folder>', 'where stores and the broker keep their data: a disk, not tmpfs').default(
    path.join(import.meta.dirname, '.data'),
  ),
  new Option('-o, --output <format>', 'how the figures are printed')
    .choices(['table', 'json'])
    .default('table'),
];
const ofLoad = (): Option[] => [
  new Option('--in-flight <n>', 'prefetch of the consumers; HTTP connections are half of it')
    .argParser(positive)
    .default(256),
  new Option('--warmup <n>', 'todos before the clock runs').argParser(positive).default(4000),
  new Option('--cpu-prof <folder>', 'write a CPU profile of each worker there (costs speed)'),
];
const ofThroughput = (): Option[] => [
  ...ofLoad(),
  new Option('--todos <n>', 'todos of one round of throughput').argParser(positive).default(20_000),
];
const ofOutage = (): Option[] => [
  new Option('--in-flight <n>', 'deliveries in hand, and calls of one kind, at once')
    .argParser(positive)
    .default(256),
  new Option('--runs <n>', 'runs that wait for the audit service').argParser(positive).default(100_000),
  new Option('--capacity <n>', 'entries that it takes at once when it is back')
    .argParser(positive)
    .default(50),
  new Option('--seconds <n>', 'how long the outage is watched').argParser(positive).default(60),
];
const ofRate = (): Option[] => [
  new Option('--rate <n>', 'todos a second of latency').argParser(positive).default(50),
  new Option('--seconds <n>', 'how long one round of latency lasts').argParser(positive).default(20),
];

const define = (
  command: Command,
  names: readonly BenchName[],
  options: readonly Option[],
  examples: readonly string[],
): Command => {
  for (const option of [...options, ...shared()]) command.addOption(option);
  const lines = examples.map((line) => `  $ npm run bench${line && ` -- ${line}`}`).join('\n');
  command.addHelpText(
    'after',
    `\nExamples:\n${lines}\n\nHOLDFAST_BENCH_AMQP_URL names a broker to use instead of a private one.`,
  );
  return command.action(() => run(names, command.opts<Options>()));
};

const run = async (names: readonly BenchName[], options: Options): Promise<void> => {
  const folder = makeFolder(options.dir);
  const { amqpUrl, version, close } = await openBroker(folder);
  try {
    const machine = describeMachine(folder, version);
    const receiver = await startChild('receiver.ts', []);
    const auditUrl = await receiver.ask<string>('url');
    const bench: Bench = { ...options, amqpUrl, auditUrl, folder, receiver, progress: say };
    const results: Partial<Record<BenchName, Result>> = {};
    for (const name of names) results[name] = await benches[name](bench, options);
    await receiver.stop();
    print(options, machine, results);
  } finally {
    await close();
  }
};

/** Goes when this process does, by a signal too. */
const makeFolder = (parent: string): string => {
  mkdirSync(parent, { recursive: true });
  const type = filesystemOf(parent);
  if (type === 'tmpfs')
    throw new Error(
      `${parent} is on tmpfs, where an fsync costs nothing: name a folder on a disk with --dir`,
    );
  const folder = mkdtempSync(path.join(parent, 'run-'));
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  process.once('SIGINT', () => process.exit(130));
  process.once('SIGTERM', () => process.exit(143));
  return folder;
};

const openBroker = async (
  folder: string,
): Promise<{ amqpUrl: string; version: string; close: () => Promise<void> }> => {
  const given = process.env['HOLDFAST_BENCH_AMQP_URL'];
  process.env['TMPDIR'] = folder; // the private broker's data goes there: /tmp may be memory
  if (given === undefined) say('starting a RabbitMQ');
  const broker = given === undefined ? await startBroker() : undefined;
  const amqpUrl = given ?? broker!.url;
  const amqp = openAmqp({ url: amqpUrl, log: quiet, prefix: 'bench' });
  const { version } = await amqp.server();
  await amqp.remove(); // to ask for its version, the link has declared its queues
  await amqp.queue.close();
  return { amqpUrl, version, close: async () => broker?.dispose() };
};

const print = (
  { output, rounds, inFlight, warmup, todos, rate, seconds }: Options,
  machine: Machine,
  results: Partial<Record<BenchName, Result>>,
): void => {
  const settings = {
    rounds: results.outage ? 1 : rounds,
    ...((results.throughput ?? results.latency) && { inFlight, warmup }),
    ...(results.throughput && { todos }),
    ...(results.latency && { rate, seconds }),
    durability: 'SQLite WAL, synchronous=FULL; quorum queues, persistent messages, confirms',
    history: true,
  };
  if (output === 'json') {
    const { throughput: one, latency: two, takeover: three, outage: four } = results;
    const figures =
      one && two ? { ...one.figures, latency: two.figures } : (one ?? two ?? three ?? four)!.figures;
    process.stdout.write(`${JSON.stringify({ ...figures, machine, settings }, null, 2)}\n`);
    return;
  }
  const lines = [
    ...machineLines(machine),
    ...settingsLines(settings),
    ...Object.values(results).flatMap(({ lines: own }) => ['', ...own]),
  ];
  process.stdout.write(`${lines.join('\n')}\n`);
};

const machineLines = ({
  cpu,
  cores,
  memory,
  system,
  node,
  rabbitmq,
  sqlite,
  filesystem,
  syncMs,
}: Machine): string[] => [
  `Machine   ${cpu}, ${cores} cores, ${memory} GiB, ${system}`,
  `Versions  Node ${node}, RabbitMQ ${rabbitmq}, SQLite ${sqlite}`,
  `Disk      ${filesystem}; 4 KiB and fdatasync take ${syncMs.toFixed(2)} ms`,
];

const settingsLines = (settings: {
  rounds: number;
  inFlight?: number;
  warmup?: number;
  todos?: number;
  rate?: number;
  seconds?: number;
  durability: string;
}): string[] => {
  const { rounds, inFlight, warmup, todos, rate, seconds, durability } = settings;
  const sizes = [
    ...(inFlight ? [`${inFlight} in flight`] : []),
    ...(todos ? [`${todos} todos a round`] : []),
    ...(rate ? [`${rate}/s for ${seconds} s a round`] : []),
    ...(warmup ? [`after ${warmup} to warm up`] : []),
  ];
  return [
    `Settings  ${[`${rounds} rounds in turn, medians`, ...sizes].join('; ')}`,
    `Durable   ${durability}; history on`,
  ];
};

const say = (line: string): void => void process.stderr.write(`${line}\n`);

const program = new Command('bench')
  .description(
    'Measures Holdfast against the floor: the same consumer, confirmed alert and audit POST without a store.',
  )
  .enablePositionalOptions();
define(
  program,
  ['throughput', 'latency'],
  [...ofThroughput(), ...ofRate()],
  ['', '--rounds 5', 'throughput', 'latency --help', 'takeover'],
);
program.addCommand(
  define(
    new Command('throughput').description('todos a second with the queue never empty'),
    ['throughput'],
    ofThroughput(),
    ['throughput', 'throughput --rounds 5 --todos 50000', 'throughput -o json'],
  ),
);
program.addCommand(
  define(
    new Command('latency').description('milliseconds from submit to done, in an open loop'),
    ['latency'],
    [...ofLoad(), ...ofRate()],
    ['latency', 'latency --rate 200 --seconds 60', 'latency -o json'],
  ),
);
program.addCommand(
  define(
    new Command('takeover').description('seconds from a SIGKILL of the worker until everything is final'),
    ['takeover'],
    [],
    ['takeover', 'takeover --rounds 5', 'takeover -o json'],
  ),
);
program.addCommand(
  define(
    new Command('outage').description(
      'what it costs that the audit service is away, and how the backlog drains',
    ),
    ['outage'],
    ofOutage(),
    ['outage', 'outage --runs 10000 --capacity 20', 'outage -o json'],
  ),
);
try {
  await program.parseAsync();
} catch (error) {
  say(`bench: ${error instanceof Error ? error.message : String(error)}`);
  process.exit(1); // the other processes would keep this one alive; they go with it
}
