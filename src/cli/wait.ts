import { setTimeout as delay } from 'node:timers/promises';
import { isFinal } from '../engine/run.ts';
import type { Run } from '../engine/run.ts';
import type { Archive } from '../store/store.ts';
import { openArchive } from './compose.ts';
import { CliError, exitCodes } from './exit.ts';
import type { Io } from './io.ts';
import { conflict } from './submission.ts';
import type { Checked } from './submission.ts';

/** How often a store is looked for that no worker has made yet, in ms. */
const lookMs = 100;

export type WaitOptions = { readonly store: string; readonly timeout: number; readonly io: Io };

/**
 * Waits until every run is final; `onFinal` is called for each. Woken by commits to the store, not by polling.
 * @throws CliError: conflict; tryAgain when the time is up (the runs go on); by signal
 */
export const waitUntilFinal = async (
  wishes: readonly Checked[],
  options: WaitOptions,
  onFinal: (run: Run) => void,
): Promise<void> => {
  const signal = AbortSignal.any([options.io.interrupted, AbortSignal.timeout(options.timeout)]);
  const pending = new Map(wishes.map((wish) => [wish.id, wish]));
  const { db, archive } = await storeOf(options, signal, pending.size);
  try {
    await seeAllFinal(archive, pending, signal, onFinal);
  } finally {
    db.close();
  }
  if (pending.size > 0) throw gaveUp(options, pending.size);
};

const seeAllFinal = async (
  archive: Archive,
  pending: Map<string, Checked>,
  signal: AbortSignal,
  onFinal: (run: Run) => void,
): Promise<void> => {
  let changed = Promise.withResolvers<void>();
  const watcher = archive.watch(() => changed.resolve());
  const aborted = Promise.withResolvers<void>();
  signal.addEventListener('abort', () => aborted.resolve(), { once: true });
  try {
    while (!signal.aborted) {
      changed = Promise.withResolvers();
      for (const wish of pending.values()) {
        const run = await archive.get(wish.id);
        if (run && run.fingerprint !== wish.fingerprint) throw conflict(wish, run.input);
        if (!run || !isFinal(run)) continue;
        pending.delete(wish.id);
        onFinal(run);
      }
      if (pending.size === 0) return;
      await Promise.race([changed.promise, aborted.promise]);
    }
  } finally {
    watcher.close();
  }
};

const storeOf = async (options: WaitOptions, signal: AbortSignal, count: number) => {
  while (!signal.aborted) {
    const open = openArchive(options);
    if (open) return open;
    await delay(lookMs, undefined, { signal }).catch(() => {});
  }
  throw gaveUp(options, count);
};

const gaveUp = ({ io, store }: WaitOptions, count: number): CliError => {
  const left = `${count} ${count === 1 ? 'run is' : 'runs are'} not final yet`;
  if (io.interrupted.aborted) {
    const name = io.interrupted.reason as 'SIGINT' | 'SIGTERM';
    return new CliError(exitCodes[name], `${left}: what was accepted goes on as soon as a worker runs`);
  }
  return new CliError(
    exitCodes.tryAgain,
    `${left} in ${store}; what was accepted goes on. Is a worker running on this store? See "holdfast list"`,
  );
};
