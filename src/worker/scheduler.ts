/** How a worker waits. A simulation brings a world of its own, in which no time is lost. */
export type Scheduler = {
  /** Milliseconds on a clock that nobody sets. */
  monotonic(): number;
  /** Calls back once after `ms`, however long that is. Returns what cancels it. */
  after(ms: number, ring: () => void): () => void;
  /** Calls back once the I/O of this round has been read. */
  soon(ring: () => void): void;
};

/** The longest delay that `setTimeout` takes: 2^31 - 1 ms, about 25 days. A longer one would fire at once. */
const longest = 2_147_483_647;

/** The process's own event loop. */
export const eventLoop: Scheduler = {
  monotonic: () => performance.now(),
  after(ms, ring) {
    let timeout: NodeJS.Timeout;
    const wait = (left: number) => {
      timeout = setTimeout(
        () => (left > longest ? wait(left - longest) : ring()),
        Math.min(Math.max(left, 0), longest),
      );
    };
    wait(ms);
    return () => clearTimeout(timeout);
  },
  soon: (ring) => void setImmediate(ring),
};

export const pause = (scheduler: Scheduler, ms: number): Promise<void> =>
  new Promise((resolve) => void scheduler.after(ms, resolve));
