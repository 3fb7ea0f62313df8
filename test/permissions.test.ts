/** What a user of RabbitMQ needs, and no more: once a user who may declare has connected, nobody else has to. */
import path from 'node:path';
import { connect } from 'amqplib';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startAuditReceiver } from '../src/cli/receiver.ts';
import { startBroker } from '../src/cli/broker/broker.ts';
import type { Broker } from '../src/cli/broker/broker.ts';
import { cli } from './harness/cli-fixture.ts';
import { holdfast } from './harness/cli.ts';
import { tempDir } from './harness/tmp.ts';

let broker: Broker;

/** As SECURITY.md has them: configure, write, read. */
const permissions = {
  submitter: ['^$', '^holdfast\\.submit$', '^$'],
  worker: ['^$', '^holdfast\\.(later|dead|events)$', '^holdfast\\.runs$'],
  operator: ['^$', '^holdfast\\.submit$', '^holdfast\\.(dead|alerts)$'],
} as const;

beforeAll(async () => {
  broker = await startBroker();
  for (const [name, of] of Object.entries(permissions)) {
    await broker.ctl('add_user', name, 's3cret');
    await broker.ctl('set_permissions', name, ...of);
  }
}, 120_000);

afterAll(() => broker.dispose());

const urlOf = (name: keyof typeof permissions) => broker.url.replace('guest:guest', `${name}:s3cret`);

const as = (name: keyof typeof permissions, store: string, ...args: string[]) =>
  cli([...args, '--queue', urlOf(name), '--store', store]);

test('a submitter needs the exchange of submissions, a worker its own names, and neither may declare', async () => {
  const [store, elsewhere] = [path.join(tempDir(), 'worker.db'), path.join(tempDir(), 'none.db')];
  const early = await as('submitter', elsewhere, 'submit', 'Too early');
  expect(early).toMatchObject({ code: 69, out: '' });
  expect(early.err).toMatch(/something is missing .*connect once as a user who may declare it/);

  expect((await cli(['doctor', '--queue', broker.url, '--store', elsewhere])).code).toBe(0); // it declares

  const submitted = await as('submitter', elsewhere, 'submit', 'Buy milk', '--key', 'milk');
  expect(submitted, submitted.err).toMatchObject({ code: 0, out: 'milk\n' });
  await publishNonsense(urlOf('submitter'));
  const audit = await startAuditReceiver();
  const worked = await holdfast(['worker', '--drain', '--audit-url', audit.url.href], {
    env: { HOLDFAST_QUEUE: urlOf('worker'), HOLDFAST_STORE: store },
  });
  await audit.close();
  expect(worked.code, worked.stderr).toBe(0);
  expect([...audit.received.keys()]).toEqual(['milk/sendAudit']);
  const alerts = await as('operator', store, 'alerts', '-o', 'jsonl');
  expect(alerts.out).toContain('milk/sendAlert');
  const [letter = ''] = (await as('operator', store, 'dead-letters', 'list', '-o', 'ids')).out.split('\n');
  const requeued = await as('operator', store, 'dead-letters', 'requeue', letter);
  expect(requeued, requeued.err).toMatchObject({ code: 0 });
});

/** What a worker can only bury. */
const publishNonsense = async (url: string) => {
  const connection = await connect(url, { noDelay: true });
  const channel = await connection.createConfirmChannel();
  channel.publish('holdfast.submit', 'create-todo', Buffer.from('nonsense'), { messageId: 'nonsense' });
  await channel.waitForConfirms();
  await connection.close();
};
