/**
 * A service that brings its own worker: one process, one file, an HTTP API.
 *
 *   MAIL_URL=http://localhost:8087/audit node examples/service.ts
 *   curl -X PUT localhost:8088/signups/ada -d '{"email":"ada@example.com"}'    # the last part is the idempotency key
 *   curl localhost:8088/signups/ada
 *
 * In a project of yours, import from 'holdfast' instead. For RabbitMQ, the queue is `openAmqp({ url, log }).queue`.
 */
import { randomUUIDv7 } from 'node:crypto';
import { once } from 'node:events';
import { serve } from '@hono/node-server';
import { Hono } from 'hono';
import { pino } from 'pino';
import { createRegistry, EmbeddedQueue, openDatabase, SqliteStore, Worker } from '../src/index.ts';
import { welcome } from './welcome.ts';

const db = openDatabase(process.env['HOLDFAST_STORE'] ?? 'holdfast.db');
const store = new SqliteStore(db);
const queue = new EmbeddedQueue(db);
const registry = createRegistry([welcome]);
const changed = await store.prepare(registry.machines);
if (changed.length > 0) throw new Error(`give the changed machine a new version: ${changed.join(', ')}`);
const worker = new Worker({ id: randomUUIDv7(), store, queue, registry, log: pino({ level: 'warn' }) });
await worker.start(); // whatever an earlier process left unfinished goes on from here

const api = new Hono()
  .put('/signups/:id', async (request) => {
    const id = request.req.param('id');
    const input = welcome.input.safeParse(await request.req.json());
    if (!input.success) return request.json({ error: input.error.issues }, 400);
    await queue.publish({ id, machine: 'welcome', body: Buffer.from(JSON.stringify(input.data)) });
    return request.json({ id }, 202); // it is durable: from here on nothing can lose it
  })
  .get('/signups/:id', async (request) => {
    const run = await store.get(request.req.param('id'));
    return run ? request.json({ state: run.state, reason: run.reason }) : request.json({}, 404);
  });
const port = Number(process.env['PORT'] ?? 8088);
const server = serve({ fetch: api.fetch, port, hostname: '127.0.0.1' }, ({ port: open }) =>
  console.log(`http://127.0.0.1:${open}`),
);

await once(process, 'SIGTERM');
server.close();
await worker.drain(); // finishes the calls that run, and gives the rest back
db.close();
