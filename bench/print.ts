/** Figures, and what they cannot be read without. */
import type { Benchmark } from './bench.ts';
import type { Machine } from './machine.ts';

export type Measured = {
  readonly benchmark: Benchmark;
  readonly figures: object;
  readonly settings: object;
};

const durability = 'SQLite WAL, synchronous=FULL; quorum queues, persistent messages, confirms';

/** The first one's figures at the top level, those of others under their names. */
export const toJson = (machine: Machine, [first, ...others]: readonly Measured[]): string => {
  const figures = {
    ...first!.figures,
    ...Object.fromEntries(others.map(({ benchmark, figures: more }) => [benchmark.name, more])),
  };
  const settings = Object.assign({}, first!.settings, ...others.map((one) => one.settings)) as object;
  const head = { bench: first!.benchmark.name, at: new Date().toISOString() };
  const record = { ...head, ...figures, machine, settings: { ...settings, durability, history: true } };
  return `${JSON.stringify(record, null, 2)}\n`;
};

export const toLines = (machine: Machine, measured: readonly Measured[]): string[] => [
  ...machineLines(machine),
  ...measured.map(({ benchmark, settings }) => settingsLine(benchmark, settings)),
  `Durable   ${durability}; history on`,
  ...measured.flatMap(({ benchmark, figures, settings }) => ['', ...benchmark.lines(figures, settings)]),
];

const settingsLine = ({ name, words }: Benchmark, settings: object): string =>
  `Settings  ${name}: ${words(settings).join('; ')}`;

const machineLines = (machine: Machine): string[] => {
  const { cpu, cores, memory, system, node, rabbitmq, sqlite, filesystem, syncMs } = machine;
  return [
    `Machine   ${cpu}, ${cores} cores, ${memory} GiB, ${system}`,
    `Versions  Node ${node}, RabbitMQ ${rabbitmq}, SQLite ${sqlite}`,
    `Disk      ${filesystem}; 4 KiB and fdatasync take ${syncMs.toFixed(2)} ms`,
  ];
};
