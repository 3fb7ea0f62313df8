import Sqlite from 'better-sqlite3';
import type { Statement } from 'better-sqlite3';
import { Database } from '../src/sqlite/database.ts';
import { migrate } from '../src/sqlite/migrations.ts';

/**
 * One store in memory for one history after the other. Each process opens it as a database of its own; what
 * is committed is there when the process is not.
 */
export class Disk {
  readonly #sqlite = new Sqlite(':memory:');
  readonly #statements = new Map<string, Statement>();
  /** For the simulation's own eyes. */
  readonly db: Database;
  isFull = false;
  /** How many transactions have been written so far. */
  writes = 0;

  constructor(tables: readonly string[]) {
    this.#sqlite.pragma('foreign_keys = ON');
    this.#sqlite.pragma('temp_store = MEMORY');
    migrate(this.#sqlite, ':memory:');
    for (const table of tables) this.#sqlite.exec(table);
    this.db = this.open();
  }

  /** What is asked for is written at once: how long it takes is decided by who asks. */
  open(): Database {
    return new Database('(simulated)', this.#connection(), (write) => write());
  }

  /** Removes every row. */
  wipe(): void {
    this.isFull = false;
    const tables = this.db.all<{ name: string }>(
      `SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT IN ('sqlite_sequence', 'machines')`,
    );
    for (const { name } of tables) this.db.run(`DELETE FROM ${name}`);
  }

  /** Statements outlive the processes that use them: to prepare them is most of the cost of a short history. */
  #connection(): Sqlite.Database {
    const sqlite = this.#sqlite;
    const prepare = (sql: string) => {
      const known = this.#statements.get(sql) ?? sqlite.prepare(sql);
      this.#statements.set(sql, known);
      return known;
    };
    const connection = {
      prepare,
      exec: (sql: string) => {
        if (sql === 'BEGIN IMMEDIATE') this.writes += 1;
        if (sql.includes(';')) sqlite.exec(sql);
        else prepare(sql).run();
      },
      pragma: sqlite.pragma.bind(sqlite),
      get inTransaction() {
        return sqlite.inTransaction;
      },
    };
    return connection as unknown as Sqlite.Database;
  }
}
