import type { CallResult, Receipt } from './run.ts';

type Details = { cause?: unknown; receipt?: Receipt };

/** The call can never succeed as it stands: the run goes to `failed` at once. */
export class PermanentError extends Error {
  override readonly name = 'PermanentError';
  readonly receipt: Receipt | undefined;

  constructor(message: string, { cause, receipt }: Details = {}) {
    super(message, { cause });
    this.receipt = receipt;
  }
}

/** The call may succeed later: the run retries with backoff, no sooner than `retryAfter` (ms). */
export class TransientError extends Error {
  override readonly name = 'TransientError';
  readonly receipt: Receipt | undefined;
  readonly retryAfter: number | undefined;

  constructor(
    message: string,
    { cause, receipt, retryAfter }: Details & { retryAfter?: number | undefined } = {},
  ) {
    super(message, { cause });
    this.receipt = receipt;
    this.retryAfter = retryAfter;
  }
}

/** Whatever was thrown: an object without a text of its own must not take the worker down. */
export const messageOf = (error: unknown): string => {
  try {
    return textIn(error);
  } catch {
    return 'an error that has no text';
  }
};

const textIn = (error: unknown): string => {
  if (!(error instanceof Error)) return String(error);
  // An AggregateError of refused connections has an empty message of its own.
  if (error instanceof AggregateError && error.message === '') return error.errors.map(messageOf).join(', ');
  return error.message || error.name;
};

const shortages: Readonly<Record<string, string>> = {
  EMFILE: 'this process has no file descriptor left: raise its limit (ulimit -n)',
  ENFILE: 'this machine has no file descriptor left: raise its limit (fs.file-max)',
};

/** What is missing here, and what to do: whoever was to be reached or opened is not to blame. */
export const shortageOf = (error: unknown): string | undefined => {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  return shortages[code];
};

/** An error as data. Anything that is not known to be permanent may pass, so it is transient. */
export const failure = (error: unknown): CallResult => ({
  ok: false,
  message: messageOf(error),
  permanent: error instanceof PermanentError,
  ...(error instanceof TransientError && isWait(error.retryAfter) && { retryAfter: error.retryAfter }),
  ...((error instanceof PermanentError || error instanceof TransientError) && { receipt: error.receipt }),
});

/** A header that is a date makes NaN of a careless `Number(…)`, and NaN ms would be no wait at all. */
const isWait = (ms: number | undefined): ms is number => ms !== undefined && ms >= 0;
