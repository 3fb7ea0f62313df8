import type { Option } from 'commander';
import type { Child } from './child.ts';
import type { SlowSync } from './slow-sync.ts';

/** What every benchmark is given. */
export type Bench = {
  readonly amqpUrl: string;
  readonly auditUrl: string;
  /** On a disk. */
  readonly folder: string;
  readonly receiver: Child;
  /** The broker's process, where it is ours. */
  readonly brokerPid?: number | undefined;
  /** @throws where fsyncs cannot be counted or delayed on this system */
  readonly openSlowSync: () => SlowSync;
  /** Says on stderr how far it is. */
  readonly progress: (line: string) => void;
};

type Spec<Options, Figures, Settings> = {
  readonly name: string;
  readonly summary: string;
  readonly options: readonly Option[];
  /** Shown below `--help`: what comes after `npm run bench -- `. */
  readonly examples: readonly string[];
  /** What the figures cannot be read without, besides the machine. */
  readonly settings: (options: Options) => Settings;
  readonly measure: (bench: Bench, options: Options) => Promise<Figures>;
  /** The settings, and the figures, for a person. Both are read from JSON as well. */
  readonly words: (settings: Settings) => readonly string[];
  readonly lines: (figures: Figures, settings: Settings) => readonly string[];
  /** An SVG. */
  readonly plot?: (figures: Figures, settings: Settings) => string;
};

/** A benchmark of whatever options and figures. */
export type Benchmark = Spec<object, object, object>;

export const defineBench = <Options extends object, Figures extends object, Settings extends object>(
  spec: Spec<Options, Figures, Settings>,
): Benchmark => spec as unknown as Benchmark;

/** @throws when they do not come: then something is lost or stands still. */
export const arrived = async (receiver: Child, count: number): Promise<void> => {
  const limit = 300_000;
  const come = await receiver.ask<number>('reached', { count, limit });
  if (come < count) throw new Error(`only ${come} of ${count} audit entries came within ${limit / 1000} s`);
};

/** There and back again: whatever drifts on the machine does not favour the same one each time. */
export const inTurn = <Item>(items: readonly Item[], round: number): readonly Item[] =>
  round % 2 === 1 ? items : items.toReversed();
