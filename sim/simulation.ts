import { createHash } from 'node:crypto';
import { Worker as Thread } from 'node:worker_threads';
import { addReached, noneReached } from './milestones.ts';
import type { Reached } from './milestones.ts';
import type { Batch, BatchResult, Failure } from './batch.ts';

export type SimulationOptions = {
  /** The first batch has this seed, the next one the next. */
  readonly seed: number;
  /** It ends after so many histories, or transitions, or milliseconds: whichever comes first. */
  readonly runs?: number | undefined;
  readonly transitions?: number | undefined;
  readonly time?: number | undefined;
  /** How many threads play. */
  readonly jobs: number;
  readonly onProgress: (sum: Sum) => void;
};

/** What the histories so far add up to. */
export type Sum = {
  histories: number;
  transitions: number;
  /** In ms. */
  elapsed: number;
  readonly ended: Record<string, number>;
  readonly reached: Reached;
};

export type SimulationResult = Sum & {
  /** Of all journals, in the order of their seeds. */
  readonly hash: string;
  readonly failure: Failure | undefined;
};

/** How many histories share a seed. */
const batchSize = 250;

/** Plays batch after batch until it has had enough, or until one fails. */
export const simulate = async (options: SimulationOptions): Promise<SimulationResult> => {
  const { jobs, onProgress } = options;
  const began = performance.now();
  const batches = batchesOf(options);
  const sum: Sum = { histories: 0, transitions: 0, elapsed: 0, ended: {}, reached: noneReached() };
  const hashes = new Map<number, string>();
  let failure: Failure | undefined;
  const isOver = () =>
    failure !== undefined ||
    sum.transitions >= (options.transitions ?? Infinity) ||
    sum.elapsed >= (options.time ?? Infinity);
  const work = async () => {
    const thread = new Thread(new URL('thread.ts', import.meta.url));
    for (let next = batches.next(); !next.done && !isOver(); next = batches.next()) {
      const result = await ask(thread, next.value);
      hashes.set(next.value.seed, result.hash);
      add(sum, result);
      sum.elapsed = performance.now() - began;
      failure ??= result.failure;
      onProgress(sum);
    }
    await thread.terminate();
  };
  await Promise.all(Array.from({ length: jobs }, work));
  return { ...sum, hash: inOrder(hashes), failure };
};

function* batchesOf({ seed, runs = Infinity }: SimulationOptions): Generator<Batch, void> {
  for (let left = runs, index = 0; left > 0; left -= batchSize, index += 1)
    yield { seed: seed + index, runs: Math.min(left, batchSize) };
}

const ask = (thread: Thread, batch: Batch): Promise<BatchResult> =>
  new Promise((resolve, reject) => {
    const fail = (cause: unknown) =>
      reject(new Error(`a history of seed ${batch.seed} threw what nobody caught`, { cause }));
    thread.once('error', fail);
    thread.once('message', (result: BatchResult) => {
      thread.off('error', fail);
      resolve(result);
    });
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
    thread.postMessage(batch);
  });

const add = (sum: Sum, { histories, transitions, ended, reached }: BatchResult): void => {
  sum.histories += histories;
  sum.transitions += transitions;
  for (const [status, count] of Object.entries(ended)) sum.ended[status] = (sum.ended[status] ?? 0) + count;
  addReached(sum.reached, reached);
};

const inOrder = (hashes: ReadonlyMap<number, string>): string => {
  const hash = createHash('sha256');
  for (const [, one] of [...hashes].toSorted(([a], [b]) => a - b)) hash.update(one);
  return hash.digest('hex');
};
