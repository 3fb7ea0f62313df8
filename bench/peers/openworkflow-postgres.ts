import { BackendPostgres } from 'openworkflow/postgres';
import { Pool } from 'pg';
import { openWorkflow } from './openworkflow.ts';
import type { Peer } from './peer.ts';
import { countRows, openTodos } from './todos-table.ts';

const worker = { concurrency: 256 };
const todosPoolSize = 10;

export const peer: Peer = {
  title: 'OpenWorkflow on PostgreSQL',
  kind: 'durable steps',
  packages: ['openworkflow', 'postgres', 'pg'],
  server: 'postgres',
  durability: 'PostgreSQL, fsync=on, synchronous_commit=on',
  settings: { ...worker, poolSize: '10, its own', todosPoolSize },
  sources: ['https://openworkflow.dev/docs/workers', 'https://openworkflow.dev/docs/production'],
  open: async ({ serverUrl, sendAlert, sendAudit }) => {
    const pool = new Pool({ connectionString: serverUrl, max: todosPoolSize });
    const todos = await openTodos(pool);
    const backend = await BackendPostgres.connect(serverUrl);
    return openWorkflow({
      backend,
      ...worker,
      atOnce: 10,
      save: (todo) => todos.save(todo),
      sendAlert,
      sendAudit,
      count: async () => ({
        saved: await todos.count(),
        finished: await countRows(pool, `openworkflow.workflow_runs WHERE status = 'completed'`),
      }),
      close: async () => {
        await backend.stop();
        await pool.end();
      },
    });
  },
};
