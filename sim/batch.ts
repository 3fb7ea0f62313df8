import { createHash } from 'node:crypto';
import * as fc from 'fast-check';
import { machine } from './crew.ts';
import { Disk } from './disk.ts';
import { play } from './history.ts';
import type { History } from './history.ts';
import { noneReached } from './milestones.ts';
import type { Reached } from './milestones.ts';
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
  readonly reached: Reached;
  /** Of all journals: the same seed has the same one. */
  readonly hash: string;
  readonly failure: Failure | undefined;
};

/** How long a failure is made shorter, in ms. */
const shrinkMs = 20_000;

let disk: Disk | undefined;

const uncaught: unknown[] = [];
process.on('unhandledRejection', (reason) => uncaught.push(reason));

/** Plays histories until one breaks a promise; that one is made shorter while it still does. */
export const playBatch = async ({ seed, runs, path }: Batch): Promise<BatchResult> => {
  disk ??= new Disk(machine.tables);
  const hash = createHash('sha256');
  const ended: Record<string, number> = {};
  const reached = noneReached();
  let histories = 0;
  let transitions = 0;
  let failedAt: number | undefined;
  const property = fc.asyncProperty(scenario, async (drawn) => {
    if (failedAt !== undefined && performance.now() - failedAt > shrinkMs) return true;
    const history = await playOut(drawn);
    const isKept = history.violations.length === 0;
    if (failedAt === undefined) {
      histories += 1;
      transitions += history.transitions;
      hash.update(history.lines.join('\n'));
      for (const { status } of history.runs) ended[status] = (ended[status] ?? 0) + 1;
      for (const milestone of history.reached) reached[drawn.queue][milestone] += 1;
    }
    if (!isKept) failedAt ??= performance.now();
    return isKept;
  });
  const details = await fc.check(property, { seed, numRuns: runs, ...(path !== undefined && { path }) });
  return {
    histories,
    transitions,
    ended,
    reached,
    hash: hash.digest('hex'),
    failure: await failureOf(details, histories),
  };
};

/** Rejections that nobody handles show when the event loop turns. */
const playOut = async (drawn: Scenario): Promise<History> => {
  const history = await play(drawn, disk!);
  await new Promise(setImmediate);
  const violations = uncaught.splice(0).map((reason) => `nobody caught: ${String(reason)}`);
  return { ...history, violations: [...history.violations, ...violations] };
};

const failureOf = async (
  { seed, counterexample, counterexamplePath }: fc.RunDetails<[Scenario]>,
  after: number,
): Promise<Failure | undefined> => {
  if (!counterexample) return undefined;
  const [shortest] = counterexample;
  const { violations, lines } = await playOut(shortest);
  return { seed, path: counterexamplePath, after, scenario: shortest, violations, lines };
};
