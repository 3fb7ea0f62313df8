import type { Child } from './child.ts';
import type { Surroundings } from './subject.ts';

/** What every benchmark is given. */
export type Bench = Surroundings & {
  readonly receiver: Child;
  readonly rounds: number;
  /** Todos before the measurement begins, so that code is compiled and connections are open. */
  readonly warmup: number;
  /** Says on stderr how far it is. */
  readonly progress: (line: string) => void;
};

/** The figures of one benchmark, as data and as lines for a person. */
export type Result = { readonly figures: object; readonly lines: readonly string[] };

/** @throws when they do not come: then something is lost or stands still. */
export const arrived = async (receiver: Child, count: number): Promise<void> => {
  const limit = 300_000;
  const come = await receiver.ask<number>('reached', { count, limit });
  if (come < count) throw new Error(`only ${come} of ${count} audit entries came within ${limit / 1000} s`);
};
