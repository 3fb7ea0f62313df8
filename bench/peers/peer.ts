/** What every peer's file exports, as `peer`. This file needs no peer's packages. */
import type { Effects, Todo } from '../effects.ts';

/** By file: `dbos` is `dbos.ts`. */
export const peerNames = [
  'restate',
  'restate-xstate',
  'dbos',
  'openworkflow-postgres',
  'openworkflow-sqlite',
  'absurd',
  'pg-boss',
  'graphile-worker',
  'bullmq',
] as const;
export type PeerName = (typeof peerNames)[number];

/** `durable steps`: a crash repeats the step that it struck. `job queue, no durable steps`: it repeats the whole job. */
export type Kind = 'durable steps' | 'job queue, no durable steps';

export type ServerName = 'postgres' | 'redis' | 'restate';

/** What is asked for. Its time is taken when it is submitted, so that no peer has to make it durable by a step. */
export type Submission = { id: string; title: string; notes: string; createdAt: string };

export type Site = Effects & {
  /** Of the peer's server, where it has one. */
  readonly serverUrl: string;
  /** Restate's second address. */
  readonly adminUrl: string;
  /** On a disk, nobody else's. */
  readonly folder: string;
  /** A file given for the peer by the person who measures. */
  readonly schema: string | undefined;
};

/** A peer at work in this process, with a store that nobody used before. */
export type Work = {
  /** Resolves when all are safe in the peer's own queue. */
  readonly submit: (submissions: readonly Submission[]) => Promise<void>;
  /** Lets the peer begin: before, nothing that was submitted is worked on. */
  readonly start: () => Promise<void>;
  /** How many todos are saved, and how many of the peer's workflows or jobs are finished for good. */
  readonly count: () => Promise<{ saved: number; finished: number }>;
  readonly close: () => Promise<void>;
};

export type Peer = {
  readonly title: string;
  readonly kind: Kind;
  /** Whose versions are printed; the first is the peer. */
  readonly packages: readonly string[];
  readonly server?: ServerName;
  /** What survives a power cut, and by which setting. */
  readonly durability: string;
  /** As they are given to the peer: what is printed is what is used. */
  readonly settings: Readonly<Record<string, unknown>>;
  /** Where its documentation says so. */
  readonly sources: readonly string[];
  readonly open: (site: Site) => Promise<Work>;
};

export const todoOf = ({ id, title, notes, createdAt }: Submission): Todo => ({
  id,
  title,
  notes,
  createdAt,
});

/** Runs a task for each, so many at once. */
export const forEach = async <Item>(
  items: readonly Item[],
  atOnce: number,
  task: (item: Item) => Promise<unknown>,
): Promise<void> => {
  let next = 0;
  const lane = async () => {
    while (next < items.length) await task(items[next++]!);
  };
  await Promise.all(Array.from({ length: atOnce }, lane));
};
