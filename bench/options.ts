/** What the benchmarks take on the command line. */
import path from 'node:path';
import { InvalidArgumentError, Option } from 'commander';

const whole = (text: string): number => {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1)
    throw new InvalidArgumentError('It must be a whole number from 1.');
  return value;
};

export const number = (flags: string, description: string, byDefault: number): Option =>
  new Option(flags, description).argParser(whole).default(byDefault);

export const optionalNumber = (flags: string, description: string): Option =>
  new Option(flags, description).argParser(whole);

export const optionalText = (flags: string, description: string): Option => new Option(flags, description);

export const someOf = (flags: string, description: string, choices: readonly string[]): Option =>
  new Option(flags, description).choices(choices);

/** `--rates 10 50 200`. Commander calls the parser for each, and hands on what it returned before. */
export const numbers = (flags: string, description: string, byDefault: readonly number[]): Option =>
  new Option(flags, description)
    .argParser((text, before: readonly number[]) => [...(before === byDefault ? [] : before), whole(text)])
    .default(byDefault, byDefault.join(' '));

export const rounds = (byDefault: number): Option =>
  number('--rounds <n>', 'how often each is measured, in turn', byDefault);

export const inFlight = number(
  '--in-flight <n>',
  'prefetch of the consumers; HTTP connections are half of it',
  256,
);

export const warmup = (byDefault: number): Option =>
  number('--warmup <n>', 'todos before the clock runs', byDefault);

export const todos = (byDefault: number): Option => number('--todos <n>', 'todos of one round', byDefault);

export const cpuProf = new Option(
  '--cpu-prof <folder>',
  'write a CPU profile of each worker there (costs speed)',
);

export const svg = new Option('--svg <file>', 'draw the figures as well');

/** Of every benchmark. */
export const shared: readonly Option[] = [
  new Option('--dir <folder>', 'where stores and the broker keep their data: a disk, not tmpfs').default(
    path.join(import.meta.dirname, '.data'),
  ),
  new Option('-o, --output <format>', 'how the figures are printed')
    .choices(['table', 'json'])
    .default('table'),
  new Option('--save <folder>', 'keep them as NAME.json there as well, for `bench page`'),
];
export type Shared = {
  readonly dir: string;
  readonly output: 'table' | 'json';
  readonly save?: string;
  readonly svg?: string;
};
