import { closeSync, existsSync, openSync } from 'node:fs';
import Sqlite from 'better-sqlite3';
import type { Database as Connection, Statement } from 'better-sqlite3';
import { shortageOf } from '../engine/errors.ts';
import { concernsFile, DatabaseError, explain, gone } from './errors.ts';
import { migrate, versionOf } from './migrations.ts';
import { rememberPlace } from './place.ts';

export type Params = Readonly<Record<string, unknown>>;
export type Value = string | number | null | Buffer;

/**
 * One file, one connection. Every write of the process goes through `write`, which shares one durable
 * transaction (BEGIN IMMEDIATE, synchronous=FULL) among all that are asked for in the same moment: a
 * group commit. FULL costs an fsync a transaction, so sharing is what makes it affordable.
 */
export class Database {
  readonly path: string;
  readonly #connection: Connection;
  readonly #statements = new Map<string, Statement>();
  readonly #listeners = new Set<() => void>();
  readonly #soon: (ring: () => void) => void;
  readonly #isThere: () => boolean;
  #waiting: Pending[] = [];
  #isCareful = false;
  #isNews = false;

  /** What is asked for until `soon` calls back shares a transaction. `isThere` says whether the path still names the file. */
  constructor(
    path: string,
    connection: Connection,
    soon: (ring: () => void) => void = setImmediate,
    isThere = () => true,
  ) {
    this.path = path;
    this.#connection = connection;
    this.#soon = soon;
    this.#isThere = isThere;
  }

  all<Row>(sql: string, params: Params = {}): Row[] {
    return this.#explained(() => this.#prepare(sql).all(params) as Row[]);
  }

  get<Row>(sql: string, params: Params = {}): Row | undefined {
    return this.#explained(() => this.#prepare(sql).get(params) as Row | undefined);
  }

  /** Only inside `write`. Parameters by name, or one by one in their order. Returns the number of changed rows. */
  run(sql: string, ...params: [Params] | Value[]): number {
    return this.#prepare(sql).run(...params).changes;
  }

  /** Several statements without parameters; only inside `write`. */
  exec(sql: string): void {
    this.#connection.exec(sql);
  }

  /**
   * Resolves when what `work` wrote is durable. `work` is atomic: when it throws, its own writes are undone,
   * the others of the group stay. When the transaction fails, nothing of the group was written. It writes
   * through this object and changes nothing else, because it may run twice.
   */
  write<T>(work: () => T): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ work, resolve: resolve as (value: unknown) => void, reject });
      if (this.#waiting.length === 1) this.#soon(() => this.#flush());
    });
  }

  /**
   * Inside `write`: undoes what `work` wrote when it throws, and returns what `otherwise` makes of the error.
   * An error that concerns the whole file goes on to the transaction.
   */
  attempt<T>(work: () => T, otherwise: (error: unknown) => T): T {
    if (!this.#isCareful) return work(); // an error takes back the whole group, which is then written carefully
    this.exec('SAVEPOINT attempt');
    try {
      const result = work();
      this.exec('RELEASE attempt');
      return result;
    } catch (error) {
      // A full disk makes SQLite roll back the whole transaction by itself; then there is no savepoint left.
      if (concernsFile(error) || !this.#connection.inTransaction) throw error;
      this.exec('ROLLBACK TO attempt; RELEASE attempt');
      return otherwise(error);
    }
  }

  /**
   * Inside `write`: this concerns others of this process as much as a commit of another process does, which
   * `dataVersion` would tell them of. They hear of it when it is durable.
   */
  announce(): void {
    this.#isNews = true;
  }

  /** Calls back after each commit that was announced. Returns what ends that. */
  onAnnounced(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Changes whenever another connection has committed. */
  dataVersion(): number {
    return (this.#prepare('PRAGMA data_version').get() as { data_version: number }).data_version;
  }

  pragma(name: string): unknown {
    return this.#explained(() => this.#connection.pragma(name, { simple: true }));
  }

  /** What was asked for is written first. Safe to call twice. */
  close(): void {
    if (this.#waiting.length > 0) this.#flush();
    this.#connection.close();
  }

  #flush(): void {
    const group = this.#waiting;
    this.#waiting = [];
    if (group.length === 0) return;
    try {
      const settle = this.#commit(group);
      // After the commit: what was written into a file that is deleted is written nowhere.
      if (!this.#isThere()) throw gone(this.path);
      for (const done of settle) done();
      if (this.#isNews) for (const listener of this.#listeners) listener();
    } catch (error) {
      for (const { reject } of group) reject(explain(this.path, error));
    }
  }

  /**
   * Savepoints cost a third of a commit, and hardly ever does a statement fail: the group is first written
   * without them, and taken back and written again with them when one does. A work may run twice.
   */
  #commit(group: Pending[]): (() => void)[] {
    try {
      return this.#transaction(group);
    } catch (error) {
      if (concernsFile(error)) throw error;
    }
    this.#isCareful = true;
    try {
      return this.#transaction(group);
    } finally {
      this.#isCareful = false;
    }
  }

  #transaction(group: Pending[]): (() => void)[] {
    this.#isNews = false;
    this.exec('BEGIN IMMEDIATE');
    try {
      const settle = group.map((pending) => this.#perform(pending));
      this.exec('COMMIT');
      return settle;
    } catch (error) {
      if (this.#connection.inTransaction) this.exec('ROLLBACK');
      throw error;
    }
  }

  #perform({ work, resolve, reject }: Pending): () => void {
    const done = () => {
      const result = work();
      return () => resolve(result);
    };
    return this.attempt(done, (error) => () => reject(error));
  }

  #explained<T>(read: () => T): T {
    try {
      return read();
    } catch (error) {
      throw explain(this.path, error);
    }
  }

  #prepare(sql: string): Statement {
    const known = this.#statements.get(sql);
    if (known) return known;
    const statement = this.#connection.prepare(sql);
    this.#statements.set(sql, statement);
    return statement;
  }
}

type Pending = { work: () => unknown; resolve: (value: unknown) => void; reject: (error: unknown) => void };

/**
 * Opens the store for reading and writing; creates and migrates it. What it creates is its owner's alone: there
 * are the inputs of all runs in it. The mode of a file that exists is left as it is. @throws DatabaseError
 */
export const openDatabase = (path: string): Database => {
  if (path !== inMemory) createPrivate(path);
  return open(path, {}, (db) => {
    versionOf(db, path); // before anything is changed: it may be another program's file
    // Of a new file only. A run takes up to a quarter of a page of 4 KiB, and what is left of a page is lost.
    db.pragma('page_size = 8192');
    // better-sqlite3 compiles NORMAL for WAL, which loses commits in a power cut.
    db.pragma('journal_mode = WAL');
    db.pragma('synchronous = FULL');
    const synchronous = db.pragma('synchronous', { simple: true });
    if (synchronous !== 2)
      throw new DatabaseError(
        'unusable',
        `the store ${path} refuses synchronous=FULL (it says ${String(synchronous)}): its commits would not be durable`,
      );
    // Pages of the -wal: 32 MiB. What is written over and over goes into the file once, and two fsyncs with it.
    db.pragma('wal_autocheckpoint = 4000');
    db.pragma('foreign_keys = ON');
    // Where savepoints keep the pages that they may have to restore: in a file they cost a quarter of a commit.
    db.pragma('temp_store = MEMORY');
    migrate(db, path);
  });
};

const inMemory = ':memory:';

/** SQLite takes an empty file as a new one, and gives its mode to the two files beside it. */
const createPrivate = (path: string): void => {
  try {
    closeSync(openSync(path, 'wx', 0o600));
  } catch (error) {
    // SQLite would not say why it cannot be opened.
    const shortage = shortageOf(error);
    if (shortage !== undefined)
      throw new DatabaseError('unavailable', `the store ${path} cannot be opened: ${shortage}`, {
        cause: error,
      });
    // It exists, or SQLite says what is wrong with its place.
  }
};

/** Opens a store for reading only; nothing where none was made yet. @throws DatabaseError */
export const openReadOnly = (path: string): Database | undefined => {
  if (!existsSync(path)) return undefined;
  let version = 0;
  const db = open(path, { readonly: true }, (connection) => (version = versionOf(connection, path)));
  if (version > 0) return db;
  db.close(); // another process is just making it
  return undefined;
};

const open = (path: string, options: Sqlite.Options, prepare: (db: Connection) => unknown): Database => {
  let connection: Connection | undefined;
  try {
    connection = new Sqlite(path, { timeout: 5000, ...options });
    prepare(connection);
    return new Database(path, connection, setImmediate, path === inMemory ? () => true : rememberPlace(path));
  } catch (error) {
    connection?.close();
    throw explainOpen(path, error);
  }
};

/** better-sqlite3 checks the folder itself, and says so with a TypeError. */
const explainOpen = (path: string, error: unknown): unknown =>
  error instanceof TypeError
    ? new DatabaseError('unusable', `the store ${path} cannot be opened: ${error.message.toLowerCase()}`, {
        cause: error,
      })
    : explain(path, error);
