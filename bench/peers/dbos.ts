import { DBOS, DBOSClient } from '@dbos-inc/dbos-sdk';
import { Pool } from 'pg';
import { alertKey, alertOf, auditKey } from '../effects.ts';
import { forEach, todoOf } from './peer.ts';
import type { Peer, Submission } from './peer.ts';
import { countRows, openTodos } from './todos-table.ts';

const queue = { workerConcurrency: 256, minPollingIntervalMs: 100 };
const config = { systemDatabasePoolSize: 20 };
const todosPoolSize = 10;
const quietLogger = { info: () => {}, debug: () => {}, warn: () => {}, error: () => {} };

export const peer: Peer = {
  title: 'DBOS Transact',
  kind: 'durable steps',
  packages: ['@dbos-inc/dbos-sdk', 'pg'],
  server: 'postgres',
  durability: 'PostgreSQL, fsync=on, synchronous_commit=on',
  settings: { ...queue, ...config, todosPoolSize },
  sources: [
    'https://docs.dbos.dev/typescript/reference/queues',
    'https://docs.dbos.dev/typescript/reference/configuration',
  ],
  open: async ({ serverUrl, sendAlert, sendAudit }) => {
    const pool = new Pool({ connectionString: serverUrl, max: todosPoolSize });
    const todos = await openTodos(pool);
    const createTodo = async (submission: Submission): Promise<void> => {
      const todo = todoOf(submission);
      await DBOS.runStep(() => todos.save(todo), { name: 'saveTodo' });
      const alert = alertOf(todo);
      await DBOS.runStep(() => sendAlert(alert, alertKey(todo.id)), { name: 'sendAlert' });
      await DBOS.runStep(() => sendAudit(todo, auditKey(todo.id)), { name: 'sendAudit' });
    };
    DBOS.registerWorkflow(createTodo, { name: 'createTodo' });
    DBOS.setConfig({ name: 'bench-peers', systemDatabaseUrl: serverUrl, ...config, logger: quietLogger });
    await DBOS.launch();
    const client = await DBOSClient.create({
      systemDatabaseUrl: serverUrl,
      systemDatabasePoolSize: 20,
      applicationName: 'bench-peers',
    });
    return {
      submit: (submissions) =>
        forEach(submissions, 20, (submission) =>
          client.enqueue(
            { workflowName: 'createTodo', queueName: 'todos', workflowID: submission.id },
            submission,
          ),
        ),
      start: async () => {
        await client.destroy();
        await DBOS.registerQueue('todos', queue);
      },
      count: async () => ({
        saved: await todos.count(),
        finished: await countRows(pool, `dbos.workflow_status WHERE status = 'SUCCESS'`),
      }),
      close: async () => {
        await DBOS.shutdown();
        await pool.end();
      },
    };
  },
};
