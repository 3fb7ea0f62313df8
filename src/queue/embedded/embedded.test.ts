import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openDatabase } from '../../sqlite/database.ts';
import type { Database } from '../../sqlite/database.ts';
import { describeQueue } from '../queue.suite.ts';
import { EmbeddedQueue } from './embedded-queue.ts';

const lap = 1500;

describeQueue('embedded', {
  open: async () => {
    const folder = mkdtempSync(join(tmpdir(), 'holdfast-'));
    const path = join(folder, 'queue.db');
    const connections: Database[] = [];
    /** A connection of its own, as another process has it. */
    const open = (): EmbeddedQueue => {
      const db = openDatabase(path);
      connections.push(db);
      return new EmbeddedQueue(db, { lapMs: lap });
    };
    return {
      queue: open(),
      another: async () => open(),
      lap,
      cleanup: async () => {
        for (const connection of connections) connection.close();
        rmSync(folder, { recursive: true });
      },
    };
  },
});
