type Moment = { readonly at: number; readonly ring: () => void; isCancelled: boolean };

/** 2026-01-01: a history begins there, so that a time in it is a date. */
const epoch = Date.UTC(2026, 0, 1);

/**
 * Time as a list of moments to come: it jumps from one to the next. Between two of them every promise that
 * can go on has gone on, so that the order of a history is decided by its seed and by nothing else.
 */
export class Time {
  #now = epoch;
  /** The soonest is last. */
  readonly #moments: Moment[] = [];

  /** Ms since the epoch. */
  get now(): number {
    return this.#now;
  }

  /** Ms since the history began. */
  get elapsed(): number {
    return this.#now - epoch;
  }

  /** Calls back in `ms`, after what was asked for before at the same time. Returns what cancels it. */
  in(ms: number, ring: () => void): () => void {
    const at = this.#now + Math.max(0, Math.ceil(ms));
    let index = this.#moments.length;
    while (index > 0 && this.#moments[index - 1]!.at <= at) index -= 1;
    const moment: Moment = { at, ring, isCancelled: false };
    this.#moments.splice(index, 0, moment);
    return () => {
      moment.isCancelled = true;
    };
  }

  /** Lets time pass until `isOver`, or until nothing more can happen. Rejects with what a moment throws. */
  pass(isOver: () => boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      const step = () => {
        try {
          if (isOver() || !this.#ringNext()) return resolve();
        } catch (error) {
          return reject(error);
        }
        return settle();
      };
      const settled = Promise.resolve();
      const whenSettled = () => process.nextTick(step);
      // Node runs a tick when no microtask is left: all that follows from a moment is over before the next one.
      const settle = () => void settled.then(whenSettled);
      settle();
    });
  }

  #ringNext(): boolean {
    const next = this.#next();
    if (!next) return false;
    this.#now = next.at;
    next.ring();
    return true;
  }

  /** Nothing follows from a moment that was cancelled, and most are: limits of calls that were answered. */
  #next(): Moment | undefined {
    let next = this.#moments.pop();
    while (next?.isCancelled) next = this.#moments.pop();
    return next;
  }
}
