import Sqlite from 'better-sqlite3';
import { Database } from '../src/sqlite/database.ts';
import { migrate } from '../src/sqlite/migrations.ts';

/**
 * One store in memory for one history after the other: to make one takes longer than to play a short history. Every
 * process has it open; what is committed is there when the process is not.
 */
export class Disk {
  /** What each process opens it by; its statements are compiled once. */
  readonly connection: Sqlite.Database;
  /** For who looks on: what is asked for is written at once. */
  readonly db: Database;
  isFull = false;
  /** By another process, for longer than anybody waits. */
  isLocked = false;
  /** How many transactions have been written so far. */
  writes = 0;
  readonly #sqlite = new Sqlite(':memory:');
  readonly #wipe: () => void;

  constructor(tables: readonly string[]) {
    this.#sqlite.pragma('foreign_keys = ON');
    this.#sqlite.pragma('temp_store = MEMORY');
    migrate(this.#sqlite, ':memory:');
    for (const table of tables) this.#sqlite.exec(table);
    this.connection = this.#connect();
    this.db = new Database('(simulated)', this.connection, (write) => write());
    const wipes = this.#rowHolders().map((name) => this.#sqlite.prepare(`DELETE FROM ${name}`));
    this.#wipe = this.#sqlite.transaction(() => wipes.forEach((wipe) => wipe.run()));
  }

  /** Removes every row. */
  wipe(): void {
    this.isFull = false;
    this.isLocked = false;
    this.#wipe();
  }

  /** Those that point at others first. */
  #rowHolders(): string[] {
    return this.db
      .all<{ name: string }>(
        `SELECT name FROM sqlite_schema
         WHERE type = 'table' AND name NOT IN ('sqlite_sequence', 'machines') ORDER BY rowid DESC`,
      )
      .map(({ name }) => name);
  }

  #connect(): Sqlite.Database {
    const sqlite = this.#sqlite;
    const compiled = new Map<string, Sqlite.Statement>();
    const prepare = (sql: string): Sqlite.Statement => {
      const known = compiled.get(sql) ?? sqlite.prepare(sql);
      compiled.set(sql, known);
      return known;
    };
    const exec = (sql: string): void => {
      if (sql === 'BEGIN IMMEDIATE' && this.isLocked) throw refusal('database is locked', 'SQLITE_BUSY');
      if (sql === 'COMMIT' && this.isFull) throw refusal('database or disk is full', 'SQLITE_FULL');
      if (sql === 'COMMIT') this.writes += 1;
      if (around.has(sql)) prepare(sql).run();
      else sqlite.exec(sql);
    };
    const connection = {
      prepare,
      exec,
      get inTransaction() {
        return sqlite.inTransaction;
      },
    };
    return connection as unknown as Sqlite.Database;
  }
}

const around = new Set(['BEGIN IMMEDIATE', 'COMMIT', 'ROLLBACK']);

const refusal = (message: string, code: string): Error => new Sqlite.SqliteError(message, code);
