/** What calls answer when a path of the chart asks for it: an error at the right attempt, or no answer at all. */
import type { LocalCall, RemoteCall } from '../../engine/definition.ts';
import { PermanentError, TransientError } from '../../engine/errors.ts';

/**
 * - `ok`: the call is performed
 * - `transient`, `permanent`: it is not, and fails so
 * - `postponed`: it is not, and is to be tried again in a minute
 * - `withheld`: it is performed, and its answer stays away until the worker is asked to leave
 */
export type ScriptedAnswer = 'ok' | 'transient' | 'permanent' | 'postponed' | 'withheld';

/** By a call's name, an answer for each attempt; those after the last are performed. */
export type Script = Readonly<Record<string, readonly ScriptedAnswer[]>>;

export type ScriptedCalls = {
  /** Aborts when withheld answers are to be given. */
  readonly release: AbortSignal;
  /** Told of each effect that took place. */
  readonly onEffect: (effect: { readonly call: string; readonly key: string }) => void;
};

/** How long a postponed call waits, in ms: longer than any cell takes. */
const postponement = 60_000;

const asked = 'an error that the proof asked for';

/** The end of its idempotency key. */
export const callName = (key: string): string => key.slice(key.lastIndexOf('/') + 1);

/** The run that a key belongs to. */
export const runOfKey = (key: string): string => key.slice(0, key.lastIndexOf('/'));

export const failing =
  (local: LocalCall, script: Script): LocalCall =>
  (input, context) => {
    if (script[callName(context.key)]?.[0] === 'permanent') throw new PermanentError(asked);
    return local(input, context);
  };

export const answering = (remote: RemoteCall, script: Script, calls: ScriptedCalls): RemoteCall => ({
  ...remote,
  async perform(input, context) {
    const call = callName(context.key);
    const answer = script[call]?.[context.attempt - 1] ?? 'ok';
    if (answer === 'permanent') throw new PermanentError(asked);
    if (answer === 'transient') throw new TransientError(asked);
    if (answer === 'postponed') throw new TransientError(asked, { retryAfter: postponement });
    const result = await remote.perform(input, context);
    calls.onEffect({ call, key: context.key });
    if (answer === 'withheld') await aborted(AbortSignal.any([calls.release, context.signal]));
    return result;
  },
});

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
