import { availableParallelism } from 'node:os';
import { Option } from 'commander';
import type { Machine } from '../../engine/machine.ts';
import { choose } from '../choose.ts';
import { defineCommand } from '../command.ts';
import { openCatalogue } from '../compose.ts';
import { parseDuration } from '../duration.ts';
import { usage } from '../exit.ts';
import { outputOption } from '../output/format.ts';
import { programOf } from '../prove/child.ts';
import { prove } from '../prove/prove.ts';

type ProveOptions = {
  readonly queue?: string;
  readonly input?: string;
  readonly only?: string[];
  readonly jobs: string;
  readonly patience: string;
  readonly output: 'table' | 'json';
  readonly svg?: string;
  readonly list?: boolean;
};

const queueOption = new Option(
  '--queue <url>',
  'prove on this queue only: "embedded" or amqp://…; default: embedded, and a RabbitMQ of its own where rabbitmq-server is installed',
).env('HOLDFAST_QUEUE');

export const proveCommand = defineCommand<ProveOptions, [machine?: string]>({
  name: 'prove',
  summary: 'Kill workers, brokers and receivers at every step of a machine, and count what arrived.',
  args: [['[machine]', 'create-todo, or create-todo@1; may be left out where there is only one']],
  settings: ['ca', 'cert', 'certKey', 'machines'],
  options: (command) =>
    command
      .addOption(queueOption)
      .option('--input <json>', 'what the runs are started with; create-todo has one of its own')
      .option('--only <words...>', 'only cells whose name has each of these words')
      .option('--jobs <n>', 'how many cells at once: they mostly wait', String(2 * availableParallelism()))
      .option('--patience <duration>', 'how long a system may take to recover', '1m')
      .option('--list', 'name the cells, and why some cannot happen, without running them')
      .option('--svg <file>', 'draw the matrix as well')
      .addOption(outputOption(['table', 'json'])),
  examples: [
    'prove',
    'prove --svg prove.svg',
    'prove --only "sendAudit done" "worker killed"',
    'prove --queue amqp://guest:guest@localhost -o json',
    'prove welcome --machines ./welcome.ts --input \'{"name":"Ada"}\'',
  ],
  run: async ({ io, settings }, options, [name]) => {
    const registry = await openCatalogue(settings);
    const machine = choose(registry, name);
    return prove({
      ...options,
      io,
      settings,
      registry,
      machine,
      input: inputOf(machine, options.input),
      program: programOf('worker-program'),
      queue: options.queue,
      only: options.only ?? [],
      jobs: parsedJobs(options.jobs),
      patience: parsedPatience(options.patience),
      svg: options.svg,
      list: options.list ?? false,
    });
  },
});

const inputOf = ({ id }: Machine, text: string | undefined): unknown => {
  if (text === undefined) return id === 'create-todo' ? { title: 'Prove it' } : {};
  try {
    return JSON.parse(text) as unknown;
  } catch {
    throw usage('--input is not JSON');
  }
};

const parsedJobs = (text: string): number => {
  if (!/^[1-9]\d{0,2}$/.test(text)) throw usage('--jobs is not a whole number from 1 to 999');
  return Number(text);
};

const parsedPatience = (text: string): number => {
  const ms = parseDuration(text);
  if (ms === undefined) throw usage('--patience is not a duration; write 30s or 5m');
  return ms;
};
