import type { Database } from 'better-sqlite3';
import { DatabaseError } from './errors.ts';

/** 'HOLD': marks a file as ours, so that another program's database is never migrated. */
const applicationId = 0x484f4c44;

/** In order; a released one never changes. The file's `user_version` counts those it has had. */
const migrations = [
  `
  -- A live worker process. Deleting its row lets go of all that it held.
  CREATE TABLE workers (
    id TEXT PRIMARY KEY,
    host TEXT NOT NULL,
    pid INTEGER NOT NULL,
    born TEXT NOT NULL,
    expires_at INTEGER NOT NULL
  ) STRICT;

  CREATE TABLE machines (ref TEXT PRIMARY KEY, structure TEXT NOT NULL) STRICT;

  CREATE TABLE runs (
    id TEXT PRIMARY KEY,
    machine TEXT NOT NULL,
    version TEXT NOT NULL,
    seq INTEGER NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('active', 'done', 'failed', 'cancelled')),
    state TEXT NOT NULL,
    snapshot TEXT NOT NULL,
    timers TEXT NOT NULL,
    attempts TEXT NOT NULL,
    due_at INTEGER,
    input TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    reason TEXT,
    failed_in TEXT,
    owner TEXT REFERENCES workers (id) ON DELETE SET NULL,
    evicted_from TEXT REFERENCES workers (id) ON DELETE SET NULL,
    resumes INTEGER NOT NULL DEFAULT 0,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX runs_unowned ON runs (due_at) WHERE status = 'active' AND owner IS NULL;
  CREATE INDEX runs_unowned_since ON runs (updated_at) WHERE status = 'active' AND owner IS NULL;
  CREATE INDEX runs_owned ON runs (owner) WHERE owner IS NOT NULL;
  CREATE INDEX runs_evicted ON runs (evicted_from) WHERE evicted_from IS NOT NULL;
  CREATE INDEX runs_census ON runs (status, state, machine, version, updated_at);

  CREATE TABLE transitions (
    run TEXT NOT NULL,
    seq INTEGER NOT NULL,
    at INTEGER NOT NULL,
    event TEXT NOT NULL,
    from_state TEXT,
    to_state TEXT NOT NULL,
    duration REAL,
    attempt INTEGER,
    error TEXT,
    receipt TEXT,
    PRIMARY KEY (run, seq)
  ) STRICT, WITHOUT ROWID;

  -- The embedded queue.
  CREATE TABLE messages (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT,
    machine TEXT,
    body BLOB NOT NULL,
    visible_at INTEGER NOT NULL,
    holder TEXT REFERENCES workers (id) ON DELETE SET NULL,
    deliveries INTEGER NOT NULL DEFAULT 0
  ) STRICT;
  CREATE INDEX messages_ready ON messages (visible_at, seq) WHERE holder IS NULL;
  CREATE INDEX messages_held ON messages (holder) WHERE holder IS NOT NULL;

  CREATE TABLE dead_letters (
    id TEXT PRIMARY KEY,
    at INTEGER NOT NULL,
    error TEXT NOT NULL,
    message_id TEXT,
    machine TEXT,
    body BLOB NOT NULL
  ) STRICT;

  -- What runs told the world through the embedded queue; a repeat under the same key is a row of its own.
  CREATE TABLE alerts (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    key TEXT NOT NULL,
    at INTEGER NOT NULL,
    event TEXT NOT NULL
  ) STRICT;
  `,
  `
  -- Receivers that are away, as a living worker sees it.
  CREATE TABLE outages (
    worker TEXT NOT NULL REFERENCES workers (id) ON DELETE CASCADE,
    machine TEXT NOT NULL,
    call TEXT NOT NULL,
    since INTEGER NOT NULL,
    next_probe_at INTEGER NOT NULL,
    waiting INTEGER NOT NULL,
    error TEXT NOT NULL,
    PRIMARY KEY (worker, machine, call)
  ) STRICT, WITHOUT ROWID;
  `,
  `
  -- For pruning.
  CREATE INDEX runs_final ON runs (status, updated_at) WHERE status <> 'active';
  `,
];

/** Brings the file up to date. @throws DatabaseError when it is another program's or a newer Holdfast's. */
export const migrate = (db: Database, path: string): void => {
  if (versionOf(db, path) === migrations.length) return;
  db.transaction(() => {
    const version = versionOf(db, path); // again: another process may have been first
    for (const sql of migrations.slice(version)) db.exec(sql);
    db.pragma(`user_version = ${migrations.length}`);
    db.pragma(`application_id = ${applicationId}`);
  }).immediate();
};

/** How many migrations the file has had. */
export const versionOf = (db: Database, path: string): number => {
  const version = db.pragma('user_version', { simple: true }) as number;
  const isOurs = db.pragma('application_id', { simple: true }) === applicationId;
  const isEmpty = db.prepare('SELECT count(*) FROM sqlite_schema').pluck().get() === 0;
  if (!isOurs && !isEmpty) {
    throw new DatabaseError(
      'unusable',
      `the store ${path} is another program's SQLite file: name another one with --store`,
    );
  }
  if (version > migrations.length) {
    throw new DatabaseError(
      'unusable',
      `the store ${path} is from a newer Holdfast (format ${version}, this one knows ${migrations.length}): upgrade holdfast`,
    );
  }
  return version;
};
