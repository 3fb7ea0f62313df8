import { Logger, makeWorkerUtils, run } from 'graphile-worker';
import type { Runner, TaskList } from 'graphile-worker';
import { Pool } from 'pg';
import { alertKey, alertOf, auditKey } from '../effects.ts';
import { todoOf } from './peer.ts';
import type { Peer, Submission } from './peer.ts';
import { countRows, openTodos } from './todos-table.ts';

const worker = {
  concurrentJobs: 64,
  localQueue: { size: 500 },
  completeJobBatchDelay: 0,
  failJobBatchDelay: 0,
};
const poolSize = 10;

export const peer: Peer = {
  title: 'graphile-worker',
  kind: 'job queue, no durable steps',
  packages: ['graphile-worker', 'pg'],
  server: 'postgres',
  durability: 'PostgreSQL, fsync=on, synchronous_commit=on',
  settings: { ...worker, poolSize },
  sources: ['https://worker.graphile.org/docs/performance', 'https://worker.graphile.org/docs/config'],
  open: async ({ serverUrl, sendAlert, sendAudit }) => {
    const pool = new Pool({ connectionString: serverUrl, max: poolSize });
    const todos = await openTodos(pool);
    pool
      .on('error', (error) => process.stderr.write(`graphile-worker: ${error.message}\n`))
      .on('connect', () => {});
    const options = { pgPool: pool, preset: { worker: { ...worker, logger: new Logger(() => () => {}) } } };
    const utils = await makeWorkerUtils(options);
    await utils.migrate();
    const taskList: TaskList = {
      createTodo: async (payload) => {
        const todo = todoOf(payload as Submission);
        await todos.save(todo);
        await sendAlert(alertOf(todo), alertKey(todo.id));
        await sendAudit(todo, auditKey(todo.id));
      },
    };
    let submitted = 0;
    let runner: Runner | undefined;
    return {
      submit: async (submissions) => {
        await utils.addJobs(submissions.map((payload) => ({ identifier: 'createTodo', payload })));
        submitted += submissions.length;
      },
      start: async () => {
        runner = await run({ ...options, taskList, noHandleSignals: true });
      },
      // What is done is deleted.
      count: async () => ({
        saved: await todos.count(),
        finished: submitted - (await countRows(pool, 'graphile_worker._private_jobs')),
      }),
      close: async () => {
        await runner?.stop();
        await utils.release();
        await pool.end();
      },
    };
  },
};
