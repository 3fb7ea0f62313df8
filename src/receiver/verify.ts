import { setTimeout as delay } from 'node:timers/promises';

export type VerifyOptions = {
  /** How long the alert is held at most, in ms: less than the broker's ack time-out. */
  readonly patience?: number;
  /** The first pause between two looks, in ms; it doubles up to a second. */
  readonly pause?: number;
  /** Gives up early, by rejecting. */
  readonly signal?: AbortSignal;
};

const longestPause = 1000;

/**
 * Holds an alert until what it tells of is seen, where the receiver reads from a copy that may lag behind. On
 * `missing` do not act: hand the message back (nack with requeue), so that it is looked at again, or put it aside.
 * @throws what `isSeen` threw last when time is up and it could not tell
 */
export const verifyAfterPublish = async (
  isSeen: () => boolean | Promise<boolean>,
  { patience = 10_000, pause = 20, signal }: VerifyOptions = {},
): Promise<'seen' | 'missing'> => {
  const deadline = performance.now() + patience;
  for (let wait = pause; ; wait = Math.min(wait * 2, longestPause)) {
    const look = await inTime(attempt(isSeen), deadline - performance.now(), signal);
    if (look.seen) return 'seen';
    const left = deadline - performance.now();
    if (left <= 0 && 'error' in look) throw look.error;
    if (left <= 0) return 'missing';
    await delay(Math.min(wait, left), undefined, signal ? { signal } : {});
  }
};

type Look = { seen: boolean } | { seen: false; error: unknown };

/** A look that does not end has seen nothing when time is up. */
const inTime = async (look: Promise<Look>, left: number, signal: AbortSignal | undefined): Promise<Look> => {
  const over = new AbortController();
  const ends = signal ? AbortSignal.any([over.signal, signal]) : over.signal;
  try {
    return await Promise.race([look, delay(Math.max(0, left), { seen: false }, { signal: ends })]);
  } finally {
    over.abort();
  }
};

/** One look that fails says nothing: the next one may succeed. */
const attempt = async (isSeen: () => boolean | Promise<boolean>): Promise<Look> => {
  try {
    return { seen: await isSeen() };
  } catch (error) {
    return { seen: false, error };
  }
};
