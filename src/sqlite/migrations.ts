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

  -- The columns that are looked at for themselves come before those that may be long.
  CREATE TABLE runs (
    no INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    machine TEXT NOT NULL,
    version TEXT NOT NULL,
    seq INTEGER NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('active', 'done', 'failed', 'cancelled')),
    state TEXT NOT NULL,
    owner TEXT REFERENCES workers (id) ON DELETE SET NULL,
    evicted_from TEXT REFERENCES workers (id) ON DELETE SET NULL,
    resumes INTEGER NOT NULL DEFAULT 0,
    due_at INTEGER,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    fingerprint TEXT NOT NULL,
    reason TEXT,
    failed_in TEXT,
    timers TEXT NOT NULL,
    attempts TEXT NOT NULL,
    input TEXT NOT NULL,
    snapshot TEXT NOT NULL
  ) STRICT;
  -- These find unfinished runs among a million finished ones, which are not in them.
  CREATE INDEX runs_owned ON runs (owner) WHERE owner IS NOT NULL;
  CREATE INDEX runs_unowned ON runs (due_at) WHERE status = 'active' AND owner IS NULL;
  CREATE INDEX runs_unowned_since ON runs (updated_at) WHERE status = 'active' AND owner IS NULL;
  CREATE INDEX runs_evicted ON runs (evicted_from) WHERE evicted_from IS NOT NULL;
  -- Written once, when a run becomes final.
  CREATE INDEX runs_final ON runs (status, machine, version, state, updated_at) WHERE status <> 'active';

  -- How many runs are where: what would otherwise be counted anew. Kept by the transactions that move runs.
  CREATE TABLE census (
    machine TEXT NOT NULL,
    version TEXT NOT NULL,
    status TEXT NOT NULL,
    state TEXT NOT NULL,
    runs INTEGER NOT NULL,
    PRIMARY KEY (machine, version, status, state)
  ) STRICT, WITHOUT ROWID;

  -- A transition begins where the one before it ended.
  CREATE TABLE transitions (
    run INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    at INTEGER NOT NULL,
    event TEXT NOT NULL,
    to_state TEXT NOT NULL,
    duration REAL,
    attempt INTEGER,
    error TEXT,
    receipt TEXT,
    PRIMARY KEY (run, seq)
  ) STRICT, WITHOUT ROWID;

  -- The transitions as people read them.
  CREATE VIEW history (run, seq, at, event, from_state, to_state, duration, attempt, error, receipt) AS
    SELECT runs.id, one.seq, one.at, one.event,
      (SELECT before.to_state FROM transitions AS before WHERE before.run = one.run AND before.seq = one.seq - 1),
      one.to_state, one.duration, one.attempt, one.error, one.receipt
    FROM runs JOIN transitions AS one ON one.run = runs.no;

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
