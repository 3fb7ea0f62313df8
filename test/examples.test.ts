import path from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { startAuditReceiver } from '../src/cli/receiver.ts';
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
