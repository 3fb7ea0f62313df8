import { readFileSync } from 'node:fs';
import { Absurd } from 'absurd-sdk';
import { Pool } from 'pg';
import { alertKey, alertOf, auditKey } from '../effects.ts';
import { forEach, todoOf } from './peer.ts';
import type { Peer, Submission } from './peer.ts';
import { countRows, openTodos } from './todos-table.ts';

const worker = { concurrency: 256, batchSize: 256, pollInterval: 0.05, claimTimeout: 120 };
const poolSize = 20;
const name = 'create-todo';

export const peer: Peer = {
  title: 'absurd',
  kind: 'durable steps',
  packages: ['absurd-sdk', 'pg'],
  server: 'postgres',
  durability: 'PostgreSQL, fsync=on, synchronous_commit=on',
  settings: { ...worker, poolSize },
  sources: ['https://github.com/earendil-works/absurd/blob/main/docs/sdks/typescript.md'],
  open: async ({ serverUrl, schema, sendAlert, sendAudit }) => {
    const pool = new Pool({ connectionString: serverUrl, max: poolSize });
    const todos = await openTodos(pool);
    await pool.query(readFileSync(schema!, 'utf8'));
    const log = { log: () => {}, info: () => {}, warn: () => {}, error: () => {} };
    const app = new Absurd({ db: pool, queueName: 'todos', log });
    await app.createQueue('todos');
    app.registerTask<Submission>({ name }, async (submission, context) => {
      const todo = todoOf(submission);
      await context.step('saveTodo', () => todos.save(todo));
      const alert = alertOf(todo);
      await context.step('sendAlert', () => sendAlert(alert, alertKey(todo.id)));
      await context.step('sendAudit', () => sendAudit(todo, auditKey(todo.id)));
    });
    return {
      submit: (submissions) => forEach(submissions, poolSize, (submission) => app.spawn(name, submission)),
      start: async () => {
        await app.startWorker(worker);
      },
      count: async () => ({
        saved: await todos.count(),
        finished: await countRows(pool, `absurd.t_todos WHERE state = 'completed'`),
      }),
      close: async () => {
        await app.close();
        await pool.end();
      },
    };
  },
};
