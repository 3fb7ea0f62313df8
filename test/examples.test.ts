import path from 'node:path';
import { randomUUID } from 'node:crypto';
import Sqlite from 'better-sqlite3';
import { expect, inject, onTestFinished, test } from 'vitest';
import { quiet } from '../src/cli/log.ts';
import { startAuditReceiver } from '../src/cli/receiver.ts';
import { sendAlertByAmqp } from '../src/effects/alert-amqp.ts';
import { openAmqp } from '../src/queue/amqp/open.ts';
import { spawnNode } from './harness/cli.ts';
import { tempDir } from './harness/tmp.ts';

const file = path.join(import.meta.dirname, '../examples/service.ts');

/** A mail service that does not answer its first request. */
const startMail = async () => {
  const asked = Promise.withResolvers<void>();
  let isFirst = true;
  const mail = await startAuditReceiver({
    onEntry: () => {
      asked.resolve();
      if (!isFirst) return;
      isFirst = false;
      return new Promise<never>(() => {});
    },
  });
  onTestFinished(() => mail.close());
  return { mail, asked: asked.promise };
};

test('a service with a worker of its own goes on after SIGKILL with what it had accepted', async () => {
  const { mail, asked } = await startMail();
  const store = path.join(tempDir(), 'service.db');
  const start = async () => {
    const service = spawnNode([file], {
      env: { HOLDFAST_STORE: store, MAIL_URL: mail.url.href, PORT: '0' },
    });
    const [url] = await service.waitForLine(/^http:.*$/);
    return { service, ada: `${url}/signups/ada` };
  };
  const state = async (url: string) => ((await (await fetch(url)).json()) as { state?: string }).state;

  const first = await start();
  const accepted = await fetch(first.ada, { method: 'PUT', body: '{"email":"ada@example.com"}' });
  expect(accepted.status).toBe(202);
  await asked;
  first.service.kill('SIGKILL');
  expect(await first.service.exited).toMatchObject({ signal: 'SIGKILL' });

  const second = await start();
  await expect.poll(() => state(second.ada), { timeout: 10_000 }).toBe('done');
  expect([...mail.received.keys()]).toEqual(['ada/sendMail']);
  second.service.kill('SIGTERM');
  expect(await second.service.exited).toEqual({ code: 0, signal: null });
});

test('it refuses what the schema refuses to the face of whoever asks', async () => {
  const service = spawnNode([file], {
    env: { HOLDFAST_STORE: path.join(tempDir(), 'service.db'), PORT: '0' },
  });
  const [url] = await service.waitForLine(/^http:.*$/);
  const refused = await fetch(`${url}/signups/ada`, { method: 'PUT', body: '{"email":"ada"}' });
  expect(refused.status).toBe(400);
});

test('a consumer of alerts acts once on each, through repeats and SIGKILL, and holds one whose todo it cannot see', async () => {
  const ids = Array.from({ length: 40 }, (_, index) => `todo-${index}`);
  const late = ids.at(-1)!;
  const folder = tempDir();
  const env = {
    HOLDFAST_QUEUE: inject('amqpUrl'),
    HOLDFAST_PREFIX: `alerts-${randomUUID()}`,
    HOLDFAST_STORE: path.join(folder, 'holdfast.db'),
    INBOX: path.join(folder, 'inbox.db'),
  };
  const amqp = openAmqp({ url: env.HOLDFAST_QUEUE, prefix: env.HOLDFAST_PREFIX, log: quiet });
  onTestFinished(async () => {
    await amqp.remove();
    await amqp.queue.close();
  });
  const store = new Sqlite(env.HOLDFAST_STORE);
  onTestFinished(() => void store.close());
  store.exec('CREATE TABLE todos (id TEXT PRIMARY KEY)');
  const save = (id: string) => store.prepare('INSERT INTO todos VALUES (?)').run(id);
  for (const id of ids) if (id !== late) save(id);
  const { perform } = sendAlertByAmqp(amqp.publisher, amqp.topology);
  const send = (id: string) =>
    perform(
      {
        type: 'todo.added',
        subject: id,
        time: '2026-01-01T00:00:00Z',
        data: { id, title: `Title of ${id}` },
      },
      { key: `${id}/sendAlert`, signal: AbortSignal.timeout(10_000) },
    );
  for (const id of [...ids, ...ids]) await send(id);
  const start = () => spawnNode([path.join(import.meta.dirname, '../examples/receive-alerts.ts')], { env });

  const first = start();
  await first.waitForLine(/^done todo-5$/); // it has more in hand, some of them written and not acked
  first.kill('SIGKILL');
  await first.exited;

  const second = start();
  await second.waitForLine(/^repeat /);
  const notices = () => {
    const inbox = new Sqlite(env.INBOX, { readonly: true });
    const found = inbox.prepare('SELECT todo FROM notices').pluck().all() as string[];
    inbox.close();
    return found.toSorted();
  };
  await expect.poll(notices, { timeout: 10_000 }).toEqual(ids.filter((id) => id !== late).toSorted());
  save(late);
  await second.waitForLine(new RegExp(`^done ${late}$`));
  await second.waitForLine(new RegExp(`^repeat ${late}$`));
  second.kill('SIGTERM');
  expect(await second.exited).toEqual({ code: 0, signal: null });
  expect(notices()).toEqual(ids.toSorted());
});
