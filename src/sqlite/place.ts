import { statSync } from 'node:fs';

/**
 * Remembers which files the path names now: the store and what SQLite has written ahead beside it. Returns what
 * tells whether it still does. A file that was deleted or replaced takes every write, and nobody reads it again.
 */
export const rememberPlace = (path: string): (() => boolean) => {
  const files = [path, `${path}-wal`];
  const known = files.map(identityOf);
  return () => files.every((file, index) => identityOf(file) === known[index]);
};

const identityOf = (file: string): string | undefined => {
  const status = statSync(file, { throwIfNoEntry: false, bigint: true });
  return status && `${status.dev}:${status.ino}`;
};
