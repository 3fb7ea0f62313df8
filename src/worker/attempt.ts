import { TransientError, failure } from '../engine/errors.ts';
import type { RemoteCall } from '../engine/definition.ts';
import type { Call, CallResult } from '../engine/run.ts';
import type { Scheduler } from './scheduler.ts';

export type AttemptOptions = {
  readonly remote: RemoteCall;
  readonly call: Call;
  /** How long it may take, in ms, and how long the question whether it took effect may take before it. */
  readonly limit: number;
  /** An earlier worker may have performed it: its answer was never recorded. */
  readonly inDoubt: boolean;
  readonly scheduler: Scheduler;
};

/** One attempt of a call. Where it is in doubt, the receiver is asked first, and what took effect is not repeated. */
export class Attempt {
  readonly #options: AttemptOptions;
  #isGivenUp = false;
  /** Ends what is under way. */
  #end: ((reason?: Error) => void) | undefined;

  constructor(options: AttemptOptions) {
    this.#options = options;
  }

  /** Once. Resolves in time, whether or not the receiver heeds its signal; it never rejects. */
  make(): Promise<CallResult> {
    return this.#options.inDoubt ? this.#askFirst() : this.#perform();
  }

  giveUp(): void {
    this.#isGivenUp = true;
    this.#end?.();
  }

  async #askFirst(): Promise<CallResult> {
    return (await this.#effect()) ?? (this.#isGivenUp ? failure('it was given up') : this.#perform());
  }

  /** What an earlier attempt brought, or nothing: it had no effect, or nobody can tell. */
  async #effect(): Promise<CallResult | undefined> {
    const { remote, call } = this.#options;
    if (!remote.verify) return undefined;
    const { key, input } = call;
    try {
      const effect = await this.#bounded((signal) => remote.verify!(input as never, { key, signal }));
      return effect && { ok: true, output: effect.output, receipt: { ...effect.receipt, verified: true } };
    } catch {
      return undefined; // the call is repeated under its key, as if there were nobody to ask
    }
  }

  #perform(): Promise<CallResult> {
    const { remote, call } = this.#options;
    const { key, attempt, input } = call;
    return this.#bounded((signal) => remote.perform(input as never, { key, attempt, signal })).then(
      ({ output, receipt }) => ({ ok: true, output, receipt }),
      failure,
    );
  }

  /** Rejects when `work` takes longer than the limit or is given up: at once, and not when `work` does. */
  #bounded<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const { limit, scheduler } = this.#options;
    return new Promise((resolve, reject) => {
      const abort = new AbortController();
      // No listener of the signal: with its promise it is a quarter of what a call in flight has in memory.
      const end = (reason?: Error) => {
        abort.abort(reason);
        reject(abort.signal.reason as Error);
      };
      const inTime = scheduler.after(limit, () => end(new TransientError(`no answer within ${limit} ms`)));
      this.#end = end;
      Promise.try(work, abort.signal).then(
        (value) => {
          inTime();
          resolve(value);
        },
        (error: unknown) => {
          inTime();
          reject(error);
        },
      );
    });
  }
}
