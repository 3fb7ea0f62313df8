import type { Broker } from '../broker/broker.ts';

/** A cell's part in one death of a broker, which dies for several cells at once. */
export type BrokerOutage = {
  /** Resolves when the broker is back; `release` is called when it is gone. */
  readonly strike: (release: () => void) => Promise<void>;
  /** The others need not wait for this cell any more. Safe to call twice. */
  readonly leave: () => void;
};

/** The broker is killed when each of the `cells` that joined has come to its point, or has left. */
export const brokerOutage = (broker: Broker, cells: number): { join(): BrokerOutage } => {
  const releases: (() => void)[] = [];
  const over = Promise.withResolvers<void>();
  over.promise.catch(() => {});
  let undecided = cells;
  const decide = () => {
    undecided -= 1;
    if (undecided === 0 && releases.length > 0) void die().then(over.resolve, over.reject);
  };
  const die = async () => {
    await broker.settle();
    await broker.kill();
    for (const release of releases) release();
    await broker.start();
  };
  const join = (): BrokerOutage => {
    let isDecided = false;
    const leave = () => {
      if (!isDecided) decide();
      isDecided = true;
    };
    return {
      strike: (release) => {
        releases.push(release);
        leave();
        return over.promise;
      },
      leave,
    };
  };
  return { join };
};
