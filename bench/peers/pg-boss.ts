import { Pool } from 'pg';
import { PgBoss } from 'pg-boss';
import { alertKey, alertOf, auditKey } from '../effects.ts';
import { todoOf } from './peer.ts';
import type { Peer, Submission } from './peer.ts';
import { countRows, openTodos } from './todos-table.ts';

const worker = { localConcurrency: 4, batchSize: 256, pollingIntervalSeconds: 0.5, burstWhenBatchFull: true };
const poolSize = 10;
const name = 'create-todo';

export const peer: Peer = {
  title: 'pg-boss',
  kind: 'job queue, no durable steps',
  packages: ['pg-boss', 'pg'],
  server: 'postgres',
  durability: 'PostgreSQL, fsync=on, synchronous_commit=on',
  settings: { ...worker, poolSize, save: 'one INSERT a batch' },
  sources: ['https://pgboss.io/api/workers', 'https://pgboss.io/api/constructor'],
  open: async ({ serverUrl, sendAlert, sendAudit }) => {
    const pool = new Pool({ connectionString: serverUrl, max: poolSize });
    const todos = await openTodos(pool);
    const boss = new PgBoss({ connectionString: serverUrl, max: poolSize });
    boss.on('error', (error) => process.stderr.write(`pg-boss: ${error.message}\n`));
    await boss.start();
    await boss.createQueue(name);
    return {
      submit: async (submissions) => {
        await boss.insert(
          name,
          submissions.map((data) => ({ data })),
        );
      },
      start: async () => {
        await boss.work<Submission>(name, worker, async (jobs) => {
          const batch = jobs.map(({ data }) => todoOf(data));
          await todos.saveAll(batch);
          await Promise.all(
            batch.map(async (todo) => {
              await sendAlert(alertOf(todo), alertKey(todo.id));
              await sendAudit(todo, auditKey(todo.id));
            }),
          );
        });
      },
      count: async () => ({
        saved: await todos.count(),
        finished: await countRows(pool, `pgboss.job WHERE name = '${name}' AND state = 'completed'`),
      }),
      close: async () => {
        await boss.stop();
        await pool.end();
      },
    };
  },
};
