import type { RemoteCall } from '../engine/definition.ts';
import type { Call, Incident } from '../engine/run.ts';
import { attemptCall } from './attempt.ts';
import type { Scheduler } from './scheduler.ts';

type Answer = Extract<Incident, { type: 'answered' }>;

/** A call that was started or waits for its place. */
export type OngoingCall = { readonly attempt: number; cancel(): void };

export type CallsOptions = {
  /** How many calls of one kind run at once. */
  readonly limit: number;
  /** How long one attempt may take, in ms. */
  readonly timeout: number;
  readonly scheduler: Scheduler;
};

type Place = { begin(): Promise<void> };

/**
 * Performs remote calls: each attempt bounded in time, and each kind of call bounded in number on its own,
 * so that a receiver that hangs holds up its own kind only. A bulkhead, in the words of "Release It!".
 */
export class Calls {
  readonly #limit: number;
  readonly #timeout: number;
  readonly #scheduler: Scheduler;
  readonly #kinds = new Map<string, { running: number; waiting: Set<Place> }>();
  readonly #running = new Set<Promise<void>>();
  #closed = false;

  constructor({ limit, timeout, scheduler }: CallsOptions) {
    this.#limit = limit;
    this.#timeout = timeout;
    this.#scheduler = scheduler;
  }

  /** `answer` is called once, later, unless the call is cancelled first. `inDoubt`: it may have taken effect before. */
  start(remote: RemoteCall, call: Call, answer: (answer: Answer) => void, inDoubt = false): OngoingCall {
    const abort = new AbortController();
    let cancelled = false;
    let ended = false;
    const perform = async () => {
      const began = this.#scheduler.monotonic();
      const limit = remote.timeout ?? this.#timeout;
      const result = await attemptCall({ remote, call, limit, inDoubt, scheduler: this.#scheduler }, abort);
      ended = true;
      const duration = Math.round((this.#scheduler.monotonic() - began) * 1000) / 1000;
      if (!cancelled) answer({ type: 'answered', call: call.id, attempt: call.attempt, duration, result });
    };
    const kind = this.#kind(call.src);
    const place: Place = { begin: perform };
    kind.waiting.add(place);
    this.#fill(call.src);
    return {
      attempt: call.attempt,
      cancel: () => {
        cancelled = true;
        kind.waiting.delete(place);
        // An abort makes an error with a stack: 4 % of the worker, were every answered call to get one.
        if (!ended) abort.abort();
      },
    };
  }

  /** Begins no more calls; resolves when those that run have ended. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.allSettled(this.#running);
  }

  #kind(src: string) {
    const kind = this.#kinds.get(src) ?? { running: 0, waiting: new Set<Place>() };
    this.#kinds.set(src, kind);
    return kind;
  }

  #fill(src: string): void {
    const kind = this.#kind(src);
    for (const place of kind.waiting) {
      if (this.#closed || kind.running >= this.#limit) return;
      kind.waiting.delete(place);
      kind.running += 1;
      const run = place.begin().finally(() => {
        kind.running -= 1;
        this.#running.delete(run);
        this.#fill(src);
      });
      this.#running.add(run);
    }
  }
}
