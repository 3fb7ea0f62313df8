import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openDatabase } from '../../sqlite/database.ts';
import type { Database } from '../../sqlite/database.ts';
import { describeStore } from '../store.suite.ts';
import { SqliteStore } from './sqlite-store.ts';

describeStore('the SQLite store', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-'));
  const path = join(folder, 'store.db');
  const connections: Database[] = [];
  const open = () => {
    const db = openDatabase(path);
    connections.push(db);
    return db;
  };
  const db = open();
  return {
    store: new SqliteStore(db),
    another: () => new SqliteStore(open()),
    // As if its process had ended: no process has that number.
    kill: (worker) =>
      db.write(() => void db.run('UPDATE workers SET pid = 999999999 WHERE id = :worker', { worker })),
    todos: () => db.all<{ id: string }>('SELECT id FROM todos ORDER BY id').map(({ id }) => id),
    close: async () => {
      for (const connection of connections) connection.close();
      rmSync(folder, { recursive: true });
    },
  };
});
