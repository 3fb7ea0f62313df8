/** The status of a run. Every status but `active` is final: no further transitions. */
export const statuses = ['active', 'done', 'failed', 'cancelled'] as const;
export type Status = (typeof statuses)[number];
export type FinalStatus = Exclude<Status, 'active'>;

/** A durable delay: when it is due (ms since the epoch) and the event that it brings. */
export type Timer = { readonly at: number; readonly event: { readonly type: string } };

/**
 * All there is of a run, as plain data: what the store keeps is what the engine steps, so nothing can
 * differ before and after a crash. `snapshot` and `input` are JSON text, opaque to everyone but the engine.
 */
export type Run = {
  readonly id: string;
  readonly machine: string;
  readonly version: string;
  /** The number of the last committed transition; every write is conditional on it. */
  readonly seq: number;
  readonly status: Status;
  readonly state: string;
  readonly snapshot: string;
  readonly timers: Readonly<Record<string, Timer>>;
  /** How often each call was asked for; an answer to an older attempt is stale. */
  readonly attempts: Readonly<Record<string, number>>;
  /** When the run goes on by itself (ms since the epoch); null while a call is in flight, and when final. */
  readonly dueAt: number | null;
  readonly input: string;
  readonly fingerprint: string;
  /** Why the run failed, and the state in which it did; `redrive` goes back there. */
  readonly reason: string | null;
  readonly failedIn: string | null;
  readonly createdAt: number;
  readonly updatedAt: number;
};

/** What a remote call brought back: a confirm, an HTTP status. Kept in the history. */
export type Receipt = Readonly<Record<string, string | number | boolean>>;

/** One row of a run's history. `duration` (ms) and `attempt` are set where a call's answer caused it. */
export type Transition = {
  readonly seq: number;
  readonly at: number;
  readonly event: string;
  readonly from: string | null;
  readonly to: string;
  readonly duration: number | null;
  readonly attempt: number | null;
  readonly error: string | null;
  readonly receipt: Receipt | null;
};

type Value = string | number | null;

/**
 * A statement, executed in the transaction that records the transition. Its parameters are named, or in order
 * (`VALUES (?, ?)`), which is faster.
 */
export type Write = {
  readonly sql: string;
  readonly params: Readonly<Record<string, Value>> | readonly Value[];
};

/** A call that the run's current state asks for. `key` is the same on every attempt, for ever. */
export type Call = {
  readonly id: string;
  readonly src: string;
  readonly key: string;
  readonly attempt: number;
  readonly input: unknown;
};

/** What one step brought: the next record, its history rows, and the writes that belong to them. */
export type Step = {
  readonly run: Run;
  readonly transitions: readonly Transition[];
  readonly writes: readonly Write[];
};

/** Time (ms since the epoch) and randomness (0 to 1) come in, so that a test owns them. */
export type Clock = { now(): number; random(): number };

export type CallResult =
  | { readonly ok: true; readonly output: unknown; readonly receipt?: Receipt | undefined }
  | {
      readonly ok: false;
      readonly message: string;
      /** A permanent error is never retried; a transient one is. */
      readonly permanent: boolean;
      /** How long the receiver asked to be left alone, in ms. */
      readonly retryAfter?: number | undefined;
      readonly receipt?: Receipt | undefined;
    };

/** What can happen to a run after its start. */
export type Incident =
  | {
      readonly type: 'answered';
      readonly call: string;
      readonly attempt: number;
      /** Of the attempt, in ms; a local call has none worth telling. */
      readonly duration: number | null;
      readonly result: CallResult;
    }
  | { readonly type: 'due'; readonly timer: string; readonly at: number }
  | { readonly type: 'cancelled' };

/** The reference of a machine: `create-todo@1`. */
export const refOf = ({ machine, version }: { machine: string; version: string }): string =>
  `${machine}@${version}`;

export const isFinal = ({ status }: { status: Status }): boolean => status !== 'active';
