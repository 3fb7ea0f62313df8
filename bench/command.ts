/** From the command line to the figures: what is the same for every benchmark. */
import { randomUUIDv7 } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { Command } from 'commander';
import { quiet } from '../src/cli/log.ts';
import { startBroker } from '../src/cli/broker/broker.ts';
import { openAmqp } from '../src/queue/amqp/open.ts';
import type { Bench, Benchmark } from './bench.ts';
import { startChild } from './child.ts';
import { describeMachine, filesystemOf } from './machine.ts';
import type { Machine } from './machine.ts';
import { shared, svg } from './options.ts';
import type { Shared } from './options.ts';
import { toJson, toLines } from './print.ts';
import type { Measured } from './print.ts';
import { compileSlowSync } from './slow-sync.ts';
import type { SlowSync } from './slow-sync.ts';

/** `name` is a command of its own; several benchmarks are run one after the other. */
export const define = (
  command: Command,
  benchmarks: readonly Benchmark[],
  examples: readonly string[],
): Command => {
  const options = new Map(benchmarks.flatMap((one) => one.options).map((option) => [option.long, option]));
  for (const option of [...options.values(), ...shared]) command.addOption(option);
  if (benchmarks.every(({ plot }) => plot)) command.addOption(svg);
  const lines = examples.map((line) => `  $ npm run bench${line && ` -- ${line}`}`).join('\n');
  command.addHelpText(
    'after',
    `\nExamples:\n${lines}\n\nHOLDFAST_BENCH_AMQP_URL names a broker to use instead of a private one.`,
  );
  return command.action(() => run(benchmarks, command.opts<Shared>()));
};

export const toCommand = (benchmark: Benchmark): Command =>
  define(new Command(benchmark.name).description(benchmark.summary), [benchmark], benchmark.examples);

const run = async (benchmarks: readonly Benchmark[], options: Shared): Promise<void> => {
  const folder = makeFolder(options.dir);
  const { amqpUrl, brokerPid, version, close } = await openBroker(folder);
  try {
    const machine = describeMachine(folder, version);
    const receiver = await startChild('receiver.ts', []);
    const auditUrl = await receiver.ask<string>('url');
    const openSlowSync = once(() => compileSlowSync(folder));
    const bench: Bench = { amqpUrl, brokerPid, auditUrl, folder, receiver, openSlowSync, progress: say };
    const measured: Measured[] = [];
    for (const benchmark of benchmarks) {
      const figures = await benchmark.measure(bench, options);
      measured.push({ benchmark, figures, settings: benchmark.settings(options) });
    }
    await receiver.stop();
    if (options.svg !== undefined) writePlots(options.svg, measured);
    if (options.save !== undefined) save(options.save, machine, measured);
    process.stdout.write(
      options.output === 'json' ? toJson(machine, measured) : `${toLines(machine, measured).join('\n')}\n`,
    );
  } finally {
    await close();
  }
};

const save = (folder: string, machine: Machine, measured: readonly Measured[]): void => {
  mkdirSync(folder, { recursive: true });
  for (const one of measured)
    writeFileSync(path.join(folder, `${one.benchmark.name}.json`), toJson(machine, [one]));
};

/** Of several, each has its name in the file's. */
const writePlots = (file: string, measured: readonly Measured[]): void => {
  const { dir, name, ext } = path.parse(file);
  for (const { benchmark, figures, settings } of measured) {
    const own = measured.length === 1 ? file : path.join(dir, `${name}-${benchmark.name}${ext}`);
    writeFileSync(own, benchmark.plot!(figures, settings));
  }
};

const once = (make: () => SlowSync): (() => SlowSync) => {
  let made: SlowSync | undefined;
  return () => (made ??= make());
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

type OpenBroker = {
  readonly amqpUrl: string;
  readonly brokerPid: number | undefined;
  readonly version: string;
  readonly close: () => Promise<void>;
};

const openBroker = async (folder: string): Promise<OpenBroker> => {
  const given = process.env['HOLDFAST_BENCH_AMQP_URL'];
  process.env['TMPDIR'] = folder; // the private broker's data goes there: /tmp may be memory
  if (given === undefined) say('starting a RabbitMQ');
  const broker = given === undefined ? await startBroker() : undefined;
  const amqpUrl = given ?? broker!.url;
  const amqp = openAmqp({ url: amqpUrl, log: quiet, prefix: `bench.${randomUUIDv7()}` });
  const { version } = await amqp.server();
  await amqp.remove(); // to ask for its version, the link has declared its queues
  await amqp.queue.close();
  // Erlang prints a string with its quotes.
  const brokerPid = broker && Number((await broker.ctl('eval', 'os:getpid().')).replaceAll(/\D/g, ''));
  return { amqpUrl, brokerPid, version, close: async () => broker?.dispose() };
};

export const say = (line: string): void => void process.stderr.write(`${line}\n`);
