import type { AnyStateMachine } from 'xstate';
import { fromPromise } from 'xstate';
import type { ZodType } from 'zod';
import type { Receipt, Write } from './run.ts';

/**
 * A call whose result is a write in the run's own store, made in the transaction that records the
 * transition: exactly once. It must be pure; a throw is a permanent error.
 */
export type LocalCall = (
  input: never,
  context: { readonly key: string; readonly now: number },
) => { readonly output?: unknown; readonly writes?: readonly Write[] };

/**
 * A call that touches the world: at least once, always under the same key. It rejects with a
 * PermanentError or a TransientError (anything else counts as transient), and gives up when `signal` aborts.
 */
export type RemoteCall = {
  perform(
    input: never,
    context: { readonly key: string; readonly attempt: number; readonly signal: AbortSignal },
  ): Promise<{ readonly output?: unknown; readonly receipt?: Receipt }>;
  /**
   * Asks the receiver whether the call under this key took effect; asked only when a worker takes up a run whose
   * call was in flight. What it resolves to is the call's answer; nothing says that there was no effect, and the
   * call is performed. Where it rejects or takes too long, the call is repeated under its key.
   */
  verify?(
    input: never,
    context: { readonly key: string; readonly signal: AbortSignal },
  ): Promise<{ readonly output?: unknown; readonly receipt?: Receipt } | undefined>;
  /** How long one attempt may take, in ms; the worker's own limit where it is left out. */
  readonly timeout?: number;
};

/** A machine and what it needs to run: the schema of its input, its calls, the tables that it writes to. */
export type Definition = {
  readonly machine: AnyStateMachine;
  readonly input: ZodType;
  readonly local?: Readonly<Record<string, LocalCall>>;
  readonly remote?: Readonly<Record<string, RemoteCall>>;
  /** `CREATE TABLE IF NOT EXISTS …`, executed when a worker starts. */
  readonly tables?: readonly string[];
};

/** What a machine is started with; `id` is the run's id, `at` the time of its start. */
export type Start<Input> = { readonly id: string; readonly at: number; readonly input: Input };

/** Declares a call in XState's `setup({ actors })`. It is data for the engine, never an actor that runs. */
export const call = <Output, Input>() =>
  fromPromise<Output, Input>(async () => {
    throw new Error('a call is performed by the worker, not by XState');
  });
