/**
 * The floor and one durable INSERT of the todo before its effects: what saving costs by itself, without steps. It
 * survives no crash between the INSERT and the ack without doubling or losing an effect. A process of its own.
 */
import Sqlite from 'better-sqlite3';
import { bareOptions, startBareWorker } from './bare.ts';
import type { Todo } from './effects.ts';

const [store, ...rest] = process.argv.slice(2);
const db = new Sqlite(store);
db.pragma('journal_mode = WAL');
db.pragma('synchronous = FULL');
db.exec(
  `CREATE TABLE IF NOT EXISTS todos (
     id TEXT PRIMARY KEY, title TEXT NOT NULL, notes TEXT, created_at TEXT NOT NULL
   ) STRICT`,
);
const insert = db.prepare<Todo>(
  `INSERT INTO todos (id, title, notes, created_at) VALUES (:id, :title, :notes, :createdAt)
   ON CONFLICT (id) DO NOTHING`,
);

await startBareWorker({ ...bareOptions(rest), save: (todo) => void insert.run(todo) });
