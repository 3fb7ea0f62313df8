/** How long transient errors are retried, and how far apart. All in ms. */
export type RetryPolicy = { base: number; cap: number; giveUpAfter: number };

/** 200 ms doubling to a minute, for a day. */
export const defaultRetry: RetryPolicy = { base: 200, cap: 60_000, giveUpAfter: 86_400_000 };

/** What a machine remembers of a step that fails: how often, since when, and how long it waits now. */
export type Failure = { count: number; since: number; wait: number; message: string };

/** What the engine puts into the `error` of an error event: there is no clock and no dice inside a machine. */
export type CallError = {
  message: string;
  permanent: boolean;
  retryAfter?: number;
  /** How long the attempt waited before it began, in ms: for its receiver, a place, or a worker. */
  waited?: number;
  at: number;
  random: number;
};

/**
 * Exponential backoff with full jitter: the wait is drawn evenly from zero to the ceiling, so that runs
 * which failed together do not come back together. A `Retry-After` is a floor under it.
 * Source: "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
 */
export const failedAgain = (policy: RetryPolicy, before: Failure | null, event: object): Failure => {
  const error = errorOf(event);
  const count = (before?.count ?? 0) + 1;
  const ceiling = Math.min(policy.cap, policy.base * 2 ** Math.min(count - 1, 50));
  const floor = Math.min(error.retryAfter ?? 0, policy.giveUpAfter);
  return {
    count,
    since: failingSince(before, error),
    wait: Math.max(Math.round(error.random * ceiling), floor),
    message: error.message,
  };
};

/** True for a permanent error, and once the step has been failing for as long as the policy allows. */
export const cannotSucceed = (policy: RetryPolicy, before: Failure | null, event: object): boolean => {
  const error = errorOf(event);
  return error.permanent || error.at - failingSince(before, error) >= policy.giveUpAfter;
};

/** Time in which nothing was tried is no failure: it moves the start. */
const failingSince = (before: Failure | null, { at, waited = 0 }: CallError): number =>
  before ? before.since + waited : at;

const errorOf = (event: object): CallError => (event as { error: CallError }).error;
