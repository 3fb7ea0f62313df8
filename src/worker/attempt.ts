import { TransientError, failure } from '../engine/errors.ts';
import type { RemoteCall } from '../engine/definition.ts';
import type { Call, CallResult } from '../engine/run.ts';
import type { Scheduler } from './scheduler.ts';

export type Attempt = {
  readonly remote: RemoteCall;
  readonly call: Call;
  /** How long it may take, in ms, and how long the question whether it took effect may take before it. */
  readonly limit: number;
  /** An earlier worker may have performed it: its answer was never recorded. */
  readonly inDoubt: boolean;
  readonly scheduler: Scheduler;
};

/** One attempt of a call. Where it is in doubt, the receiver is asked first, and what took effect is not repeated. */
export const attemptCall = async (attempt: Attempt, abort: AbortController): Promise<CallResult> => {
  const known = attempt.inDoubt ? await effectOf(attempt, abort.signal) : undefined;
  return known ?? perform(attempt, abort);
};

/** What an earlier attempt brought, or nothing: it had no effect, or nobody can tell. */
const effectOf = async (
  { remote, call: { key, input }, ...bounds }: Attempt,
  given: AbortSignal,
): Promise<CallResult | undefined> => {
  if (!remote.verify) return undefined;
  const asking = new AbortController();
  given.addEventListener('abort', () => asking.abort(given.reason), { once: true });
  try {
    const effect = await bounded(bounds, asking, (signal) => remote.verify!(input as never, { key, signal }));
    return effect && { ok: true, output: effect.output, receipt: { ...effect.receipt, verified: true } };
  } catch {
    return undefined; // the call is repeated under its key, as if there were nobody to ask
  }
};

const perform = async (
  { remote, call: { key, attempt, input }, ...bounds }: Attempt,
  abort: AbortController,
): Promise<CallResult> => {
  if (abort.signal.aborted) return failure(abort.signal.reason);
  try {
    const { output, receipt } = await bounded(bounds, abort, (signal) =>
      remote.perform(input as never, { key, attempt, signal }),
    );
    return { ok: true, output, receipt };
  } catch (error) {
    // A client that heeds the signal rejects with an error of its own.
    return failure(abort.signal.aborted ? abort.signal.reason : error);
  }
};

/** Rejects when `work` takes longer than `limit` ms or is aborted, whether or not it heeds its signal. */
const bounded = async <T>(
  { limit, scheduler }: Pick<Attempt, 'limit' | 'scheduler'>,
  abort: AbortController,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> => {
  const { signal } = abort;
  const late = () => abort.abort(new TransientError(`no answer within ${limit} ms`));
  const inTime = scheduler.after(limit, late);
  const given = Promise.withResolvers<never>();
  given.promise.catch(() => {}); // `work` may throw before anyone waits for it
  signal.addEventListener('abort', () => given.reject(signal.reason), { once: true });
  try {
    return await Promise.race([work(signal), given.promise]);
  } finally {
    inTime();
  }
};
