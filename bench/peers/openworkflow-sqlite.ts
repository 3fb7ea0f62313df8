import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { BackendSqlite } from 'openworkflow/sqlite';
import { openWorkflow } from './openworkflow.ts';
import type { Peer } from './peer.ts';

const worker = { concurrency: 256 };

export const peer: Peer = {
  title: 'OpenWorkflow on SQLite',
  kind: 'durable steps',
  packages: ['openworkflow'],
  durability: "SQLite WAL, synchronous=FULL (node:sqlite's default)",
  settings: worker,
  sources: ['https://openworkflow.dev/docs/workers', 'https://openworkflow.dev/docs/production'],
  open: async ({ folder, sendAlert, sendAudit }) => {
    const file = path.join(folder, 'openworkflow.db');
    const backend = BackendSqlite.connect(file);
    const db = new DatabaseSync(file);
    db.exec(
      `CREATE TABLE todos (id TEXT PRIMARY KEY, title TEXT NOT NULL, notes TEXT, created_at TEXT NOT NULL) STRICT`,
    );
    const insert = db.prepare(`INSERT INTO todos VALUES (?, ?, ?, ?) ON CONFLICT (id) DO NOTHING`);
    const count = (rows: string) =>
      Number(db.prepare(`SELECT count(*) AS count FROM ${rows}`).get()!['count']);
    if (db.prepare('PRAGMA synchronous').get()!['synchronous'] !== 2)
      throw new Error('this Node opens SQLite with another setting than synchronous=FULL');
    return openWorkflow({
      backend,
      ...worker,
      atOnce: 1,
      save: async ({ id, title, notes, createdAt }) => void insert.run(id, title, notes, createdAt),
      sendAlert,
      sendAudit,
      count: async () => ({
        saved: count('todos'),
        finished: count(`workflow_runs WHERE status = 'completed'`),
      }),
      close: async () => {
        await backend.stop();
        db.close();
      },
    });
  },
};
