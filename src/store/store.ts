/**
 * Where runs are kept. The port is coarse and asynchronous: one method, one transaction, durable when it
 * resolves. A method that rejects has changed nothing (that anybody can read, when its error `isGone`). Adapter: sqlite/; store.suite.ts judges it.
 */
import type { FinalStatus, Run, Status, Step, Transition } from '../engine/run.ts';

/**
 * A step to be committed: on top of record number `expected`, or as a new run where that is null. With `release` its
 * worker lets go of the run, which waits for long: whoever looks when it is nearly due takes it up.
 */
export type Change = Step & { readonly expected: number | null; readonly release?: boolean };

/**
 * - `conflict`: the run is not at `expected` or not this worker's any more (or exists already): let go of it.
 * - `rejected`: the database refused one of the step's own writes; nothing of the step was kept.
 */
export type Outcome = { type: 'committed' } | { type: 'conflict' } | { type: 'rejected'; error: string };

/** What a store knows of a run that a message asks for. */
export type Claim =
  | ({ readonly type: 'claimed' } & Resumed)
  | { readonly type: 'final'; readonly run: Run }
  /** A living worker runs it, or only another one can, or it waits or is a suspect and resumes on its own. */
  | { readonly type: 'busy'; readonly fingerprint: string; readonly input: string }
  | { readonly type: 'unknown' };

/** A machine as the store remembers it, to notice one that changed under its version. */
export type KnownMachine = {
  readonly ref: string;
  readonly structure: string;
  readonly tables: readonly string[];
};

/** A receiver that is away, as a worker sees it. Times are ms since the epoch. */
export type Outage = {
  readonly machine: string;
  readonly call: string;
  readonly since: number;
  readonly nextProbeAt: number;
  /** How many calls wait for it, without an attempt. */
  readonly waiting: number;
  readonly error: string;
};

/** Runs that became final before `before` (ms since the epoch). */
export type Retired = { readonly before: number; readonly statuses: readonly FinalStatus[] };

/** True when the store was taken away from this process for good: nobody reads what it writes. */
export const isGone = (error: unknown): boolean =>
  error instanceof Error && 'kind' in error && error.kind === 'gone';

/** What a worker needs. Its `worker` names the process; all that it holds hangs on its lease. */
export interface WorkerStore {
  /**
   * Makes the machines' tables, and remembers their structure.
   * Returns those that changed although unfinished runs of them exist: they must not run.
   */
  prepare(machines: readonly KnownMachine[]): Promise<string[]>;
  /** Takes a lease. */
  join(worker: string): Promise<void>;
  /**
   * Renews the lease and lets go of what dead workers held. `held: false` says that this worker was itself
   * taken for dead: it holds nothing any more. `evicted` are runs that a person took from it.
   */
  renew(worker: string): Promise<{ held: boolean; evicted: string[] }>;
  /** Gives everything back, at once. */
  leave(worker: string): Promise<void>;
  /**
   * Claims unfinished runs of `refs` that nobody holds and that are due, or nearly. A run that took its worker down
   * `suspectAfter` times in a row is a suspect: suspects come one at a time, after all others, with their `resumes`.
   */
  resume(worker: string, refs: readonly string[], limit: number): Promise<Resumed[]>;
  /**
   * Claims the runs that deliveries ask for, if they are of `refs` and do not wait for long. A redelivered message
   * voids the lease of whoever held its run.
   */
  claim(
    worker: string,
    refs: readonly string[],
    wanted: readonly { id: string; redelivered: boolean }[],
  ): Promise<Claim[]>;
  /** Commits the steps of a whole turn in one transaction; an outcome for each, in order. */
  commit(worker: string, changes: readonly Change[]): Promise<Outcome[]>;
  /** These runs of the worker only wait: should it die, that is not on them. */
  spare(worker: string, runs: readonly string[]): Promise<void>;
  /** Remembers which receivers are away for this worker, for others to see; forgotten when it leaves or dies. */
  noteOutages(worker: string, outages: readonly Outage[]): Promise<void>;
  /**
   * Forgets up to `limit` runs and their histories; what their machines wrote into tables of their own stays.
   * Returns how many: fewer than `limit` when there are no more. The same key is a new run from then on.
   */
  prune(retired: Retired, limit: number): Promise<number>;
  /** Calls back after another process changed the store. */
  watch(onChange: () => void): { close(): void };
}

/** A run that was resumed, and how often in a row without having come any further. */
export type Resumed = { readonly run: Run; readonly resumes: number };

/** A run that was resumed this often without a transition is taken up alone. */
export const suspectAfter = 2;

/** A run that waits longer than this (ms) is in nobody's hands: its timer is in the store, and so may a million be. */
export const longWait = 3000;

/** True for a run that goes on by itself, but not soon. A clock that was set back since makes no wait longer. */
export const waitsLong = ({ dueAt, updatedAt }: Pick<Run, 'dueAt' | 'updatedAt'>, now: number): boolean =>
  dueAt !== null && dueAt - Math.max(now, updatedAt) > longWait;

export type ListFilter = {
  readonly state?: string | undefined;
  readonly status?: Status | undefined;
  readonly machine?: string | undefined;
  readonly limit: number;
};

/** One line of the census: how many runs are in a state, and since when the one that waits longest. */
export type CensusRow = {
  readonly machine: string;
  readonly version: string;
  readonly status: Status;
  readonly state: string;
  readonly count: number;
  readonly oldest: number;
};

/** What a person needs. */
export interface Archive {
  get(id: string): Promise<Run | undefined>;
  /** The ids that begin with `prefix`, up to `limit`. */
  find(prefix: string, limit: number): Promise<string[]>;
  /** Those that changed last come first. */
  list(filter: ListFilter): Promise<Run[]>;
  census(): Promise<CensusRow[]>;
  history(id: string): Promise<Transition[]>;
  /** How many runs `prune` would forget. */
  prunable(retired: Retired): Promise<number>;
  /** The receivers that are away, as living workers see it. */
  outages(): Promise<Outage[]>;
  /** Unfinished runs of machines that are not among `refs`: nobody runs them. */
  stranded(refs: readonly string[]): Promise<{ ref: string; count: number }[]>;
  /** Commits a person's step, and takes the run from whoever holds it. */
  amend(change: Change & { expected: number }): Promise<Outcome>;
  /** Calls back after another process changed the store. */
  watch(onChange: () => void): { close(): void };
}

export interface Store extends WorkerStore, Archive {}
