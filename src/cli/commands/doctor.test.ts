import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { chmodSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { connect } from 'amqplib';
import { expect, inject, onTestFinished, test } from 'vitest';
import { accepted, cli, newStore, refused } from '../../../test/harness/cli-fixture.ts';
import { tempDir } from '../../../test/harness/tmp.ts';
import { openAmqp } from '../../queue/amqp/open.ts';
import type { Amqp } from '../../queue/amqp/open.ts';
import type { Finding } from '../checks/finding.ts';
import { checkVersion } from '../checks/rabbit.ts';
import { checkNode } from '../checks/runtime.ts';
import { quiet } from '../log.ts';
import { startAuditReceiver } from '../receiver.ts';

const auditReceiver = async (): Promise<string> => {
  const server = createServer((_, response) => response.writeHead(405).end());
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  return `http://user:secret@127.0.0.1:${(server.address() as AddressInfo).port}/audit?token=secret`;
};

const doctor = async (...args: string[]) => {
  const { code, out } = await cli(['doctor', '-o', 'json', ...args]);
  const { ok, findings } = JSON.parse(out) as { ok: boolean; findings: Finding[] };
  const found = (check: string) => findings.find((finding) => finding.check === check);
  return {
    code,
    ok,
    found,
    levels: Object.fromEntries(findings.map(({ check, level }) => [check, level])),
    text: out,
  };
};

test('a store with work, no worker and dead letters is worth a warning, and is no failure', async () => {
  const { path: file, db, store, begin, answer } = await newStore();
  await begin('one', 'Milk');
  await answer(await begin('two', 'Bread'), refused);
  await db.write(() =>
    db.run(`INSERT INTO dead_letters (id, at, error, body) VALUES ('d', 1000, 'e', x'00')`),
  );
  await store.leave('worker');
  const { code, ok, levels, found } = await doctor('--store', file, '--audit-url', await auditReceiver());
  expect({ code, ok }).toEqual({ code: 0, ok: true });
  expect(levels).toEqual({
    node: 'ok',
    sqlite: 'ok',
    store: 'ok',
    'store mode': 'ok',
    durability: 'ok',
    integrity: 'ok',
    census: 'ok',
    runs: 'ok',
    'failed runs': 'warn',
    workers: 'warn',
    queue: 'ok',
    'dead letters': 'warn',
    audit: 'ok',
  });
  expect(found('runs')?.says).toContain('1 run unfinished');
  expect(found('queue')?.says).toContain('0 ready, 0 waiting, 1 dead');
});

test('a worker that lives is found', async () => {
  const { path: file } = await newStore();
  expect((await doctor('--store', file)).found('workers')).toMatchObject({
    level: 'ok',
    says: '1 at work on this store',
  });
});

test('a receiver that is away is a warning with all that is known of it', async () => {
  const { path: file, store, begin } = await newStore();
  await begin('one', 'Milk');
  const now = Date.now();
  await store.noteOutages('worker', [
    {
      machine: 'create-todo',
      call: 'sendAudit',
      since: now - 300_000,
      nextProbeAt: now - 1,
      waiting: 99_999,
      error: 'the audit service answered HTTP 503',
    },
  ]);
  const { code, found } = await doctor('--store', file);
  expect(code).toBe(0);
  expect(found('outage')).toMatchObject({
    level: 'warn',
    says: expect.stringMatching(
      /create-todo’s sendAudit gets through for 5 min 0 s, 99999 runs waiting, next probe under way: .*HTTP 503/,
    ),
  });
});

test('an unfinished run of a machine that nobody knows is a failure', async () => {
  const { path: file, db, begin, answer } = await newStore();
  await begin('one', 'Milk');
  await answer(await answer(await begin('two', 'Bread'), accepted), accepted);
  await db.write(() => db.exec(`UPDATE runs SET machine = 'gone'; UPDATE census SET machine = 'gone'`));
  const { code, ok, found } = await doctor('--store', file);
  expect({ code, ok }).toEqual({ code: 1, ok: false });
  expect(found('stranded runs')).toMatchObject({
    level: 'fail',
    says: expect.stringContaining('1 run of gone@1'),
  });
});

test('a store that everyone can read is worth a warning that says how to close it', async () => {
  const { path: file } = await newStore();
  chmodSync(file, 0o644);
  expect((await doctor('--store', file)).found('store mode')).toMatchObject({
    level: 'warn',
    says: expect.stringContaining('mode 644'),
    fix: `chmod 600 ${file}`,
  });
});

test('no store yet and no audit URL are warnings', async () => {
  const { code, levels } = await doctor('--store', path.join(tempDir(), 'none.db'));
  expect(code).toBe(0);
  expect(levels).toMatchObject({ store: 'warn', queue: 'ok', audit: 'warn' });
});

test('a file that is no store is a failure with one line', async () => {
  const file = path.join(tempDir(), 'letter.db');
  writeFileSync(file, 'Dear Sir or Madam, '.repeat(100));
  const { code, found } = await doctor('--store', file);
  expect(code).toBe(1);
  expect(found('store')).toMatchObject({ level: 'fail', says: expect.stringContaining('not a SQLite file') });
});

test('any answer of the audit service counts, and its credentials are not shown', async () => {
  const { path: file } = await newStore();
  const url = await auditReceiver();
  const { found, text } = await doctor('--store', file, '--audit-url', url);
  expect(found('audit')).toMatchObject({ level: 'ok', says: expect.stringContaining('HTTP 405') });
  expect(text).not.toContain('secret');
});

test('an audit service that does not answer stalls runs: a failure', async () => {
  const { path: file } = await newStore();
  const { code, found, text } = await doctor(
    '--store',
    file,
    '--audit-url',
    'http://user:secret@127.0.0.1:9/audit',
  );
  expect(code).toBe(1);
  expect(found('audit')).toMatchObject({ level: 'fail', fix: expect.stringContaining('--audit-url') });
  expect(text).not.toContain('secret');
});

test('whether the audit service can be asked for an entry is tried with a key that nobody ever had', async () => {
  const { path: file } = await newStore();
  const receiver = await startAuditReceiver();
  onTestFinished(() => receiver.close());
  const verify = async (url: string) => {
    const { code, found } = await doctor('--store', file, '--audit-url', url, '--audit-verify', 'yes');
    return { code, ...found('audit verify') };
  };
  expect(await verify(receiver.url.href)).toMatchObject({ code: 0, level: 'ok' });
  expect(await verify(await auditReceiver())).toMatchObject({
    code: 0,
    level: 'warn',
    says: expect.stringContaining('HTTP 405, which tells nothing'),
  });
  const anything = createServer((_, response) => response.writeHead(200).end('<html>'));
  await new Promise<void>((resolve) => void anything.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void anything.close());
  const { port } = anything.address() as AddressInfo;
  expect(await verify(`http://127.0.0.1:${port}/audit`)).toMatchObject({
    code: 1,
    level: 'fail',
    says: expect.stringContaining('200 of a key that was never posted'),
  });
});

const level = (product: string, version: string) => checkVersion({ product, version }, 'amqp://x').level;

test('an old Node and an old RabbitMQ are failures, another broker is a warning', () => {
  expect(checkNode('24.15.9')).toMatchObject({ level: 'fail' });
  expect(checkNode('24.16.0')).toMatchObject({ level: 'ok' });
  expect(checkNode('26.0.0')).toMatchObject({ level: 'ok' });
  expect(['3.9.29', '3.10.0', '4.0.5'].map((version) => level('RabbitMQ', version))).toEqual([
    'fail',
    'ok',
    'ok',
  ]);
  expect(level('LavinMQ', '2.0.0')).toBe('warn');
});

test('as text each finding is a line, and what to do is below it', async () => {
  const { path: file } = await newStore();
  const { out } = await cli(['doctor', '--store', file]);
  expect(out).toMatch(/^ok {4}node {13}Node \d+/);
  expect(out).toContain('→ give --audit-url or HOLDFAST_AUDIT_URL\n');
});

test('on a terminal no line is wider than 80 columns, and no word is lost', async () => {
  const { path: file } = await newStore();
  const { args } = rabbit();
  const { out } = await cli(['doctor', ...args, '--store', file], { tty: true });
  for (const line of out.split('\n')) expect(line.length).toBeLessThanOrEqual(80);
  expect(out.replaceAll(/\s+/g, ' ')).toContain(
    'Holdfast holds no message for much more than a minute, so any consumer_timeout above 2 minutes is safe',
  );
});

let prefixes = 0;
const rabbit = (lap = 300_000): { amqp: Amqp; args: string[] } => {
  const prefix = `doctor-test-${process.pid}-${(prefixes += 1)}`;
  const amqp = openAmqp({ url: inject('amqpUrl'), prefix, lap, log: quiet });
  onTestFinished(async () => {
    await amqp.remove();
    await amqp.queue.close();
  });
  return {
    amqp,
    args: ['--queue', inject('amqpUrl'), '--prefix', prefix, '--store', path.join(tempDir(), 'holdfast.db')],
  };
};

test('RabbitMQ: messages that nobody consumes are a warning', async () => {
  const { amqp, args } = rabbit();
  await amqp.queue.publish({ id: 'one', machine: 'create-todo', body: Buffer.from('{}') });
  const { code, levels, found, text } = await doctor(...args);
  expect(code).toBe(0);
  expect(levels).toMatchObject({
    broker: 'ok',
    'queue arguments': 'ok',
    consumers: 'warn',
    'ack time-out': 'ok',
    queue: 'ok',
    'dead letters': 'ok',
  });
  expect(found('consumers')?.says).toContain('no worker consumes');
  expect(text).not.toContain('guest');
});

test('RabbitMQ: a classic queue is a warning that says what is weaker and how to mend it', async () => {
  const { amqp, args } = rabbit();
  const model = await connect(inject('amqpUrl'));
  onTestFinished(() => model.close());
  await (await model.createChannel()).assertQueue(amqp.topology.runs);
  const { code, found } = await doctor(...args);
  expect(code).toBe(0);
  expect(found('queue arguments')).toMatchObject({
    level: 'warn',
    says: expect.stringMatching(/^\S+\.runs: classic.*one node; .*loses messages.*in its hands$/),
    fix: expect.stringContaining('delete these queues once they are empty'),
  });
  expect(found('ack time-out')?.says).toContain('above 10 minutes');
});

test('RabbitMQ: a queue with other arguments is a failure that names it', async () => {
  const { amqp, args } = rabbit(1234);
  await amqp.queue.depth(); // declares
  const { code, found } = await doctor(...args);
  expect(code).toBe(1);
  expect(found('queue')).toMatchObject({
    level: 'fail',
    says: expect.stringMatching(/\.waiting.*use the same lap/),
  });
});

test('RabbitMQ: wrong credentials are a failure that says how to mend it and shows none', async () => {
  const url = inject('amqpUrl').replace(/\/\/.*@/, '//guest:hunter2@');
  const { code, found, text } = await doctor('--queue', url, '--store', path.join(tempDir(), 'holdfast.db'));
  expect(code).toBe(1);
  expect(found('queue')).toMatchObject({ level: 'fail', says: expect.stringContaining('correct them') });
  expect(text).not.toContain('hunter2');
});

test('a census that does not say what there is is a failure', async () => {
  const { path: file, db, begin } = await newStore();
  await begin('one', 'Milk');
  expect((await doctor('--store', file)).found('census')).toMatchObject({ level: 'ok' });
  await db.write(() => db.run('UPDATE census SET runs = 2'));
  expect((await doctor('--store', file)).found('census')).toMatchObject({ level: 'fail' });
});
