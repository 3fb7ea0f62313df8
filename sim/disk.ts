import Sqlite from 'better-sqlite3';
import { Database } from '../src/sqlite/database.ts';
import { migrate } from '../src/sqlite/migrations.ts';

/**
 * One store in memory for one history after the other: to make one takes longer than to play a short history. Every
 * process has it open; what is committed is there when the process is not.
 */
export class Disk {
  /** What is asked for is written at once: how long it takes is decided by who asks. */
  readonly db: Database;
  isFull = false;
  /** How many transactions have been written so far. */
  writes = 0;
  readonly #sqlite = new Sqlite(':memory:');
  readonly #wipe: () => void;

  constructor(tables: readonly string[]) {
    this.#sqlite.pragma('foreign_keys = ON');
    this.#sqlite.pragma('temp_store = MEMORY');
    migrate(this.#sqlite, ':memory:');
    for (const table of tables) this.#sqlite.exec(table);
    this.db = new Database('(simulated)', this.#connection(), (write) => write());
    const wipes = this.#rowHolders().map((name) => this.#sqlite.prepare(`DELETE FROM ${name}`));
    this.#wipe = this.#sqlite.transaction(() => wipes.forEach((wipe) => wipe.run()));
  }

  /** Removes every row. */
  wipe(): void {
    this.isFull = false;
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

  /** Counts its transactions, and has the statements around them prepared. */
  #connection(): Sqlite.Database {
    const sqlite = this.#sqlite;
    const around = new Map(['BEGIN IMMEDIATE', 'COMMIT'].map((sql) => [sql, sqlite.prepare(sql)]));
    const connection = {
      prepare: sqlite.prepare.bind(sqlite),
      exec: (sql: string) => {
        if (sql === 'BEGIN IMMEDIATE') this.writes += 1;
        const prepared = around.get(sql);
        if (prepared) prepared.run();
        else sqlite.exec(sql);
      },
      get inTransaction() {
        return sqlite.inTransaction;
      },
    };
    return connection as unknown as Sqlite.Database;
  }
}
