/** The store for commands that only read, where there may be none yet. */
import type { Database } from '../sqlite/database.ts';
import type { Archive } from '../store/store.ts';
import { openArchive } from './compose.ts';
import { CliError, exitCodes } from './exit.ts';
import { say } from './io.ts';
import type { Io } from './io.ts';
import type { Settings } from './settings.ts';

export type OpenArchive = { readonly db: Database; readonly archive: Archive };

/** Opens the store, uses it and closes it. @throws CliError notFound where there is no store yet */
export const withArchive = async <R>(
  settings: Settings,
  use: (open: OpenArchive) => Promise<R>,
): Promise<R> => {
  const open = openExisting(settings);
  if (!open) throw new CliError(exitCodes.notFound, noStoreYet(settings));
  try {
    return await use(open);
  } finally {
    open.db.close();
  }
};

/** For commands to which no store is as good as an empty one: a word on stderr, and it goes on. */
export const withArchiveOrEmpty = async <R>(
  { io, settings }: { io: Io; settings: Settings },
  use: (archive: Archive) => Promise<R>,
): Promise<R> => {
  const open = openExisting(settings);
  if (!open) say(io, noStoreYet(settings));
  try {
    return await use(open?.archive ?? emptyArchive);
  } finally {
    open?.db.close();
  }
};

export const noStoreYet = ({ store }: Pick<Settings, 'store'>): string =>
  `no store at ${store} yet: name it with --store or start a worker`;

/** A file without a format is one that a worker is about to make. */
export const openExisting = (settings: Settings): OpenArchive | undefined => {
  const open = openArchive(settings);
  if (open?.db.pragma('user_version') !== 0) return open;
  open.db.close();
  return undefined;
};

const emptyArchive: Archive = {
  get: async () => undefined,
  find: async () => [],
  list: async () => [],
  census: async () => [],
  history: async () => [],
  prunable: async () => 0,
  outages: async () => [],
  stranded: async () => [],
  amend: async () => ({ type: 'conflict' }),
  watch: () => ({ close() {} }),
};
