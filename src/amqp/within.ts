/** Settles as `promise` does, or rejects after `ms` or when `signal` aborts: whichever comes first. */
export const within = async <T>(
  ms: number,
  promise: Promise<T>,
  late: () => Error,
  signal?: AbortSignal,
): Promise<T> => {
  const { promise: ended, reject } = Promise.withResolvers<never>();
  const give = () => reject(late());
  const timer = setTimeout(give, ms);
  if (signal?.aborted) give();
  signal?.addEventListener('abort', give);
  try {
    return await Promise.race([promise, ended]);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', give);
  }
};
