import type { Receipt, Run, Status, Transition } from '../../engine/run.ts';

type Column = string | number | null;

/** A run as the table has it. */
export type RunRow = {
  id: string;
  machine: string;
  version: string;
  seq: number;
  status: Status;
  state: string;
  snapshot: string;
  timers: string;
  attempts: string;
  due_at: number | null;
  input: string;
  fingerprint: string;
  reason: string | null;
  failed_in: string | null;
  owner: string | null;
  resumes: number;
  created_at: number;
  updated_at: number;
};

export type TransitionRow = {
  seq: number;
  at: number;
  event: string;
  from_state: string | null;
  to_state: string;
  duration: number | null;
  attempt: number | null;
  error: string | null;
  receipt: string | null;
};

export const runColumns = `id, machine, version, seq, status, state, snapshot, timers, attempts, due_at, input,
  fingerprint, reason, failed_in, owner, resumes, created_at, updated_at`;

export const toRun = (row: RunRow): Run => ({
  id: row.id,
  machine: row.machine,
  version: row.version,
  seq: row.seq,
  status: row.status,
  state: row.state,
  snapshot: row.snapshot,
  timers: JSON.parse(row.timers) as Run['timers'],
  attempts: JSON.parse(row.attempts) as Run['attempts'],
  dueAt: row.due_at,
  input: row.input,
  fingerprint: row.fingerprint,
  reason: row.reason,
  failedIn: row.failed_in,
  createdAt: row.created_at,
  updatedAt: row.updated_at,
});

/** The columns that a transition changes, in the order of the statements. */
export const progress = (run: Run): Column[] => [
  run.seq,
  run.status,
  run.state,
  run.snapshot,
  JSON.stringify(run.timers),
  JSON.stringify(run.attempts),
  run.dueAt,
  run.reason,
  run.failedIn,
  run.updatedAt,
];

/** The columns that stay for ever. */
export const identity = (run: Run): Column[] => [
  run.id,
  run.machine,
  run.version,
  run.input,
  run.fingerprint,
  run.createdAt,
];

/** A row of the history, in the order of the statements. */
export const historyColumns = (row: Transition): Column[] => [
  row.seq,
  row.at,
  row.event,
  row.to,
  row.duration,
  row.attempt,
  row.error,
  row.receipt && JSON.stringify(row.receipt),
];

export const toTransition = (row: TransitionRow): Transition => ({
  seq: row.seq,
  at: row.at,
  event: row.event,
  from: row.from_state,
  to: row.to_state,
  duration: row.duration,
  attempt: row.attempt,
  error: row.error,
  receipt: row.receipt === null ? null : (JSON.parse(row.receipt) as Receipt),
});
