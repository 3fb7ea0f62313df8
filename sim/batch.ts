import { createHash } from 'node:crypto';
import * as fc from 'fast-check';
import { machine } from './crew.ts';
import { Disk } from './disk.ts';
import { play } from './history.ts';
import { scenario } from './scenario.ts';
import type { Scenario } from './scenario.ts';

/** One seed, and how many histories are made of it. `path` leads to one of them, as a failure names it. */
export type Batch = { readonly seed: number; readonly runs: number; readonly path?: string | undefined };

/** The shortest history that still fails. */
export type Failure = {
  readonly seed: number;
  readonly path: string;
  /** How many histories it took until one failed. */
  readonly after: number;
  readonly scenario: Scenario;
  readonly violations: readonly string[];
  readonly lines: readonly string[];
};

export type BatchResult = {
  readonly histories: number;
  readonly transitions: number;
  /** How many runs ended in which status: a history in which nothing gets done proves nothing. */
  readonly ended: Readonly<Record<string, number>>;
  /** Of all journals: the same seed has the same one. */
  readonly hash: string;
  readonly failure: Failure | undefined;
};

let disk: Disk | undefined;

/** Plays histories until one breaks a promise; that one is made shorter while it still does. */
export const playBatch = async ({ seed, runs, path }: Batch): Promise<BatchResult> => {
  disk ??= new Disk(machine.tables);
  const hash = createHash('sha256');
  const ended: Record<string, number> = {};
  let histories = 0;
  let transitions = 0;
  let failed = false;
  const property = fc.asyncProperty(scenario, async (drawn) => {
    const history = await play(drawn, disk!);
    await new Promise(setImmediate); // what nobody caught is thrown here
    if (!failed) {
      histories += 1;
      transitions += history.transitions;
      hash.update(history.hash);
      for (const { status } of history.runs) ended[status] = (ended[status] ?? 0) + 1;
    }
    failed ||= history.violations.length > 0;
    return history.violations.length === 0;
  });
  const details = await fc.check(property, { seed, numRuns: runs, ...(path !== undefined && { path }) });
  return {
    histories,
    transitions,
    ended,
    hash: hash.digest('hex'),
    failure: await failureOf(details, histories),
  };
};

const failureOf = async (
  { seed, counterexample, counterexamplePath }: fc.RunDetails<[Scenario]>,
  after: number,
): Promise<Failure | undefined> => {
  if (!counterexample) return undefined;
  const [shortest] = counterexample;
  const { violations, lines } = await play(shortest, disk!);
  return { seed, path: counterexamplePath, after, scenario: shortest, violations, lines };
};
