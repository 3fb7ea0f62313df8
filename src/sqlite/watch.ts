import { watch } from 'node:fs';
import { basename, dirname, resolve } from 'node:path';
import type { Database } from './database.ts';

/** How late a change shows where the file system sends no events, in ms. */
const fallbackMs = 1000;

/** The least time between two looks, in ms. */
const leastGapMs = 10;

/**
 * Calls back after another process has committed to the file: woken by the file system, confirmed by
 * `data_version`, which our own commits do not change. And after those of our own that were announced.
 */
export const watchCommits = (db: Database, onCommit: () => void): { close(): void } => {
  let seen = versionOf(db);
  let checkedAt = 0;
  let soon: NodeJS.Timeout | undefined;
  const check = () => {
    soon = undefined;
    checkedAt = performance.now();
    const now = versionOf(db);
    if (now === seen) return;
    seen = now;
    onCommit();
  };
  const timer = setInterval(check, fallbackMs);
  const unhear = db.onAnnounced(onCommit);
  // Our own commits are events as well, many each: what comes together is looked at once.
  const watcher = watchFolder(db.path, () => {
    soon ??= setTimeout(check, Math.max(0, checkedAt + leastGapMs - performance.now()));
  });
  return {
    close() {
      unhear();
      clearInterval(timer);
      clearTimeout(soon);
      watcher?.close();
    },
  };
};

/** An I/O error counts as a change: whoever reads next meets it, and reports it. */
const versionOf = (db: Database): number => {
  try {
    return db.dataVersion();
  } catch {
    return -1;
  }
};

/** The folder, not the file: SQLite deletes the -wal file with the last connection and makes a new one. */
const watchFolder = (path: string, onChange: () => void): { close(): void } | undefined => {
  const wal = `${basename(path)}-wal`;
  try {
    const watcher = watch(dirname(resolve(path)), (_event, file) => {
      if (file === null || file === wal) onChange();
    });
    watcher.on('error', () => watcher.close()); // the timer goes on
    return watcher;
  } catch {
    return undefined; // no inotify left, or a file system without events
  }
};
