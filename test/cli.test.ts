import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test, vi } from 'vitest';
import { holdfast, spawnHoldfast } from './harness/cli.ts';
import { queueKinds, startService } from './harness/service.ts';
import type { Service } from './harness/service.ts';
import { tempDir } from './harness/tmp.ts';

const json = async <T>(service: Service, args: string[]): Promise<T> => {
  const { stdout, stderr, code } = await service.run(args);
  expect(code, stderr).toBe(0);
  return JSON.parse(stdout) as T;
};

type Inspected = {
  state: string;
  status: string;
  reason: string | null;
  input: { title: string };
  history: { event: string; error: string | null; receipt: { status: number } | null }[];
};
type Letters = { id: string; error: string; body: string }[];

const inspect = (service: Service, id: string) => json<Inspected>(service, ['inspect', id, '-o', 'json']);
const deadLetters = (service: Service) => json<Letters>(service, ['dead-letters', 'list', '-o', 'json']);

/** Everything that could move a cursor, change a colour or turn text around; the line feed apart. */
// oxlint-disable-next-line no-control-regex
const unprintable = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e]/;

/** What is in the store right now, as a person would ask for it. */
const until = <T>(ask: () => Promise<T>, timeout = 15_000) => vi.waitFor(ask, { timeout, interval: 100 });

describe.each(queueKinds)('on the %s queue', (kind) => {
  test('a todo is submitted, worked on and seen', async () => {
    const service = await startService(kind);
    await service.worker();
    const submitted = await service.run(['submit', 'Buy milk', '--notes', 'oat', '--wait']);
    expect(submitted).toMatchObject({
      code: 0,
      stderr: expect.stringMatching(/accepted by .*\ndone after/) as string,
    });
    const id = submitted.stdout.trim();
    expect(await inspect(service, id.slice(0, 30))).toMatchObject({
      state: 'done',
      input: { title: 'Buy milk', notes: 'oat' },
    });
    expect([...service.receiver.received.keys()]).toEqual([`${id}/sendAudit`]);
    const alerts = await service.run(['alerts', '-o', 'jsonl']);
    expect(JSON.parse(alerts.stdout)).toMatchObject({
      key: `${id}/sendAlert`,
      event: { type: 'todo.added', subject: id },
    });
    const census = await json<{ totals: object }>(service, ['census', '-o', 'json']);
    expect(census.totals).toMatchObject({ total: 1, done: 1 });
  });

  test('the same key and input are the same run: again, at once from two processes, and when it is done', async () => {
    const service = await startService(kind);
    await service.worker();
    const submit = () => service.run(['submit', 'Buy milk', '--key', 'k1', '--wait']);
    const results = [...(await Promise.all([submit(), submit()])), await submit()];
    expect(results.map(({ code, stdout }) => [code, stdout])).toEqual(
      Array.from({ length: 3 }, () => [0, 'k1\n']),
    );
    expect([...service.receiver.received.values()]).toMatchObject([{ key: 'k1/sendAudit', deliveries: 1 }]);
    expect((await service.run(['list', '-o', 'ids'])).stdout).toBe('k1\n');
  });

  test('the same key with another input is a conflict: told at once, dead-lettered otherwise, the run untouched', async () => {
    const service = await startService(kind);
    // Both are in the queue before anything is in the store.
    expect((await service.run(['submit', 'Buy milk', '--key', 'k1'])).code).toBe(0);
    expect((await service.run(['submit', 'Buy bread', '--key', 'k1'])).code).toBe(0);
    await service.worker();
    const [letter] = await until(async () => {
      const letters = await deadLetters(service);
      expect(letters).toHaveLength(1);
      return letters;
    });
    expect(letter!.error).toBe(
      'conflict: the key "k1" belongs to another submission: title: "Buy milk" is known, "Buy bread" was sent',
    );
    const late = await service.run(['submit', 'Buy beer', '--key', 'k1']);
    expect(late).toMatchObject({
      code: 5,
      stdout: '',
      stderr: expect.stringContaining('"Buy milk" is known, "Buy beer" was sent') as string,
    });
    expect((await inspect(service, 'k1')).input.title).toBe('Buy milk');
  });

  test('a submission that waits learns of its conflict', async () => {
    const service = await startService(kind);
    const early = await service.run(['submit', 'Buy milk', '--key', 'k1']);
    expect(early.code).toBe(0);
    const waiting = service.run(['submit', 'Buy bread', '--key', 'k1', '--wait']);
    await service.worker();
    expect(await waiting).toMatchObject({
      code: 5,
      stderr: expect.stringContaining('"Buy milk" is known') as string,
    });
  });

  test('what can never become a run is dead-lettered byte for byte with its reason, and the worker goes on', async () => {
    const service = await startService(kind);
    const bad = [
      {
        id: 'not-json',
        body: Buffer.from([0xff, 0x00, 0x1b, 0x5b, 0x33, 0x31, 0x6d]),
        error: /the input cannot be read/,
      },
      {
        id: 'schema',
        body: Buffer.from('{"title":7,"colour":"red"}'),
        error: /title: is number, and must be string; colour: not a known field/,
      },
      {
        id: 'large',
        body: Buffer.from(JSON.stringify({ title: 'x', notes: 'y'.repeat(65_536) })),
        error: /65560 bytes long; 65536 are allowed/,
      },
      { id: 'tab\there', body: Buffer.from('{"title":"x"}'), error: /the key has control characters/ },
    ];
    for (const { id, body } of bad) await service.queue.publish({ id, machine: 'create-todo', body });
    await service.worker();
    expect((await service.run(['submit', 'Buy milk', '--wait'])).code).toBe(0);
    const letters = await until(async () => {
      const list = await deadLetters(service);
      expect(list).toHaveLength(bad.length);
      return list;
    });
    for (const { body, error } of bad) {
      const letter = letters.find((one) => Buffer.from(one.body, 'base64').equals(body));
      expect(letter?.error).toMatch(error);
      const shown = await service.run(['dead-letters', 'show', letter!.id]);
      expect(shown.stdout).not.toMatch(unprintable);
    }
  });

  test('a dead letter is requeued or dropped', async () => {
    const service = await startService(kind);
    for (const id of ['a', 'b'])
      await service.queue.publish({ id, machine: 'create-todo', body: Buffer.from('{') });
    await service.worker();
    const letters = await until(async () => {
      const list = await deadLetters(service);
      expect(list).toHaveLength(2);
      return list;
    });
    expect((await service.run(['dead-letters', 'drop', letters[0]!.id])).code).toBe(0);
    expect((await service.run(['dead-letters', 'requeue', letters[1]!.id])).code).toBe(0);
    await until(async () => {
      const list = await deadLetters(service);
      expect(list).toHaveLength(1);
      expect(list[0]!.id).not.toBe(letters[1]!.id);
    });
    expect((await service.run(['dead-letters', 'drop', 'nothing-like-it'])).code).toBe(4);
  });

  test('a file of todos: each row on its own, refused ones by line, and safe to run again', async () => {
    const service = await startService(kind);
    const file = path.join(path.dirname(service.store), 'todos.ndjson');
    const rows = [
      '{"title":"one"}',
      'nonsense',
      '{"title":"two","key":"own-key"}',
      '',
      '{"title":""}',
      '{"title":"three","colour":1}',
      '{"title":"one"}',
    ];
    writeFileSync(file, rows.join('\n'));
    const first = await service.run(['submit', '--file', file]);
    expect(first.code).toBe(2);
    expect(first.stderr.split('\n')).toEqual(
      expect.arrayContaining([
        'line 2: it is not JSON',
        'line 5: title: is empty',
        'line 6: colour: not a known field',
        '3 accepted, 3 refused',
      ]) as string[],
    );
    await service.worker();
    const again = await service.run(['submit', '--file', '-', '--wait'], { input: rows.join('\n') });
    expect(again.stdout).toBe(first.stdout);
    expect((await service.run(['list', '-o', 'ids'])).stdout.trim().split('\n')).toHaveLength(3);
    expect([...service.receiver.received.values()].map(({ deliveries }) => deliveries)).toEqual([1, 1, 1]);
  });

  test('an audit service that refuses fails the run with the receipt, and retry goes on from there', async () => {
    let refuses = true;
    const service = await startService(kind, { onEntry: () => (refuses ? 422 : undefined) });
    await service.worker();
    const failed = await service.run(['submit', 'Buy milk', '--key', 'k1', '--wait']);
    expect(failed).toMatchObject({ code: 1, stderr: expect.stringContaining('HTTP 422') as string });
    const run = await inspect(service, 'k1');
    expect(run).toMatchObject({ status: 'failed', state: 'failed' });
    expect(run.history.at(-1)).toMatchObject({ event: 'sendAudit error', receipt: { status: 422 } });
    refuses = false;
    expect((await service.run(['retry', 'k1'])).code).toBe(0);
    await until(async () => expect((await inspect(service, 'k1')).state).toBe('done'));
    expect((await inspect(service, 'k1')).history.map(({ event }) => event)).toContain('retry');
    expect([...service.receiver.received.keys()]).toEqual(['k1/sendAudit']);
    expect((await service.run(['retry', 'k1'])).code).toBe(1);
  });

  test('a run that waits is cancelled, and its worker lets go of it', async () => {
    const service = await startService(kind, { onEntry: () => 503 });
    await service.worker();
    expect((await service.run(['submit', 'Buy milk', '--key', 'k1'])).code).toBe(0);
    await until(async () => expect((await inspect(service, 'k1')).history.length).toBeGreaterThan(5));
    expect((await service.run(['cancel', 'k1'])).code).toBe(0);
    const { history, status } = await inspect(service, 'k1');
    expect(status).toBe('cancelled');
    // The delivery is settled, and nothing happens to the run any more.
    await until(async () => expect(await service.queue.depth()).toMatchObject({ ready: 0 }));
    expect((await service.run(['worker', '--drain'])).code).toBe(0);
    expect((await inspect(service, 'k1')).history).toEqual(history);
    expect((await service.run(['cancel', 'k1'])).code).toBe(0);
  });

  test('a title with escape sequences and newlines is stored as it is, and printed harmless', async () => {
    const service = await startService(kind);
    await service.worker();
    const title = 'a\u001b[31mred\u0007\nb\u202Ec';
    const { stdout } = await service.run(['submit', title, '--wait']);
    const id = stdout.trim();
    expect((await inspect(service, id)).input.title).toBe(title);
    for (const args of [['list'], ['inspect', id], ['alerts'], ['census']]) {
      const shown = await service.run(args);
      expect(shown.stdout, args.join(' ')).not.toMatch(unprintable);
    }
  });

  test.each([
    ['an empty title', ['submit', ''], 'title'],
    ['no title', ['submit', '--machine', 'create-todo', '--input', '{}'], 'title: is missing'],
    ['a blank title', ['submit', '  '], 'title'],
    ['a long title', ['submit', 'x'.repeat(501)], 'title'],
    ['a large input', ['submit', 'x', '--notes', 'y'.repeat(65_536)], 'bytes'],
    ['an unknown field', ['submit', '--input', '{"title":"x","colour":"red"}'], 'colour'],
    ['a wrong type', ['submit', '--input', '{"title":7}'], 'title'],
    ['no JSON', ['submit', '--input', '{'], '--input'],
    ['an empty key', ['submit', 'x', '--key', ''], 'key'],
    ['a long key', ['submit', 'x', '--key', 'ä'.repeat(128)], 'key'],
    ['a key with control characters', ['submit', 'x', '--key', 'a\nb'], 'key'],
    ['an unknown machine', ['submit', 'x', '--machine', 'nothing'], 'nothing'],
    ['nothing at all', ['submit'], 'title'],
  ])('%s is refused with exit 2, and nothing is published', async (_, args, named) => {
    const service = await startService(kind);
    const { code, stdout, stderr } = await service.run(args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(new RegExp(`^holdfast: .*${named}.*\n$`));
    if (kind === 'embedded') expect((await service.queue.depth()).ready).toBe(0);
  });
});

describe('an id', () => {
  test('that is unknown, or the beginning of several, is exit 4 with the candidates', async () => {
    const service = await startService('embedded');
    await service.worker();
    for (const key of ['ab-1', 'ab-2'])
      expect((await service.run(['submit', 'x', '--key', key, '--wait'])).code).toBe(0);
    for (const command of ['inspect', 'retry', 'cancel']) {
      expect(await service.run([command, 'zz'])).toMatchObject({
        code: 4,
        stderr: expect.stringContaining('zz') as string,
      });
      const several = await service.run([command, 'ab']);
      expect(several.code).toBe(4);
      expect(several.stderr).toMatch(/ab-1[\s\S]*ab-2/);
    }
  });
});

describe('a broker', () => {
  const url = 'amqp://someone:s3cret@127.0.0.1:1/';

  test('that is away refuses a submission with exit 69 in bounded time, and shows no password', async () => {
    const folder = tempDir();
    const { code, stdout, stderr } = await holdfast(['submit', 'x', '--queue', url], {
      cwd: folder,
      timeout: 20_000,
    });
    expect({ code, stdout }).toEqual({ code: 69, stdout: '' });
    expect(stderr.trim().split('\n')).toHaveLength(1);
    expect(stderr).not.toContain('s3cret');
  });

  test('with wrong credentials or an unknown vhost is exit 69, one line, the password redacted', async () => {
    const service = await startService('RabbitMQ');
    for (const [change, said] of [
      [(wrong: URL) => (wrong.password = 's3cret'), /password/],
      [(wrong: URL) => (wrong.pathname = '/nowhere'), /virtual host/],
    ] as const) {
      const wrong = new URL(service.env['HOLDFAST_QUEUE']!);
      change(wrong);
      for (const args of [
        ['submit', 'x'],
        ['dead-letters', 'list'],
      ]) {
        const { code, stderr } = await service.run(args, { env: { HOLDFAST_QUEUE: wrong.href } });
        expect(code).toBe(69);
        expect(stderr).toMatch(said);
        expect(stderr).not.toContain('s3cret');
        expect(stderr.trim().split('\n')).toHaveLength(1);
      }
    }
  });

  test('whose queue has other arguments is exit 69, and doctor says how to mend it', async () => {
    const service = await startService('RabbitMQ');
    const { connect } = await import('amqplib');
    const connection = await connect(service.env['HOLDFAST_QUEUE']!);
    const channel = await connection.createChannel();
    const { queue } = await channel.assertQueue(`${service.env['HOLDFAST_PREFIX']!}.runs`, {
      arguments: { 'x-queue-type': 'quorum', 'x-max-length': 1 },
    });
    const { code, stderr } = await service.run(['submit', 'x']);
    expect(code).toBe(69);
    expect(stderr).toMatch(/other settings/);
    const doctor = await service.run(['doctor']);
    expect(doctor.code).toBe(1);
    expect(doctor.stdout).toMatch(/other settings|other arguments/);
    await channel.deleteQueue(queue);
    await connection.close();
  });

  test.each(['amqp:/', 'redis://x', 'amqp://a:s3cret@host:99999'])(
    'whose URL is %s is a usage error that does not repeat it',
    async (bad) => {
      const folder = tempDir();
      const { code, stderr } = await holdfast(['submit', 'x'], { cwd: folder, env: { HOLDFAST_QUEUE: bad } });
      expect(code).toBe(2);
      expect(stderr).toContain('HOLDFAST_QUEUE');
      expect(stderr).not.toContain('s3cret');
    },
  );
});

describe('the CLI', () => {
  test('submits the whole file, though nobody reads the ids', async () => {
    const file = path.join(tempDir(), 'todos.ndjson');
    writeFileSync(file, '{"title":"Buy milk"}\n'.repeat(2000));
    const submitting = spawnHoldfast(['submit', '--file', file], { cwd: path.dirname(file) });
    submitting.child.stdout!.destroy();
    expect(await submitting.exited).toMatchObject({ code: 0 });
    expect(submitting.stderr).toContain('2000 accepted');
  });

  test('has a --help with examples for each command', async () => {
    const { stdout } = await holdfast(['--help']);
    const commands = [...stdout.matchAll(/^ {2}([a-z-]+)[ |[<]/gm)]
      .map(([, name]) => name!)
      .filter((name) => name !== 'help' && !name.startsWith('-'));
    expect(commands).toEqual(
      expect.arrayContaining([
        'submit',
        'worker',
        'list',
        'inspect',
        'census',
        'retry',
        'cancel',
        'alerts',
        'dead-letters',
        'diagram',
        'doctor',
        'demo',
        'dev',
      ]) as string[],
    );
    for (const command of commands) {
      const help = await holdfast([command, '--help']);
      expect(help.code, command).toBe(0);
      expect(help.stdout, command).toMatch(/Examples:\n {2}\$ holdfast /);
    }
  });

  test.each([
    [['nonsense']],
    [['list', '--nonsense']],
    [['worker', '--concurrency', '0', '--audit-url', 'http://x']],
    [['inspect']],
    [['submit', 'x', '--timeout', 'soon']],
  ])('%j is a usage error: exit 2', async (args) => {
    const folder = tempDir();
    expect((await holdfast(args, { cwd: folder })).code).toBe(2);
  });

  test('says its version', async () => {
    const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
      version: string;
    };
    expect((await holdfast(['--version'])).stdout.trim()).toBe(version);
  });

  test('worker without an audit URL says what is missing', async () => {
    const folder = tempDir();
    expect(await holdfast(['worker'], { cwd: folder })).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('--audit-url') as string,
    });
  });

  test('submit --wait gives up in time, and says that the run goes on', async () => {
    const service = await startService('embedded');
    const { code, stdout, stderr } = await service.run(['submit', 'x', '--wait', '--timeout', '300ms']);
    expect(code).toBe(75);
    expect(stdout).not.toBe('');
    expect(stderr).toMatch(/not final yet/);
  });

  test('a machine of one’s own comes in one file', async () => {
    const service = await startService('embedded');
    const machines = path.join(import.meta.dirname, '../examples/welcome.ts');
    const worker = await service.worker(['--machines', machines], {
      env: { MAIL_URL: service.receiver.url.href },
    });
    const submitted = await service.run([
      'submit',
      '--machines',
      machines,
      '--machine',
      'welcome',
      '--input',
      '{"email":"ada@example.com"}',
      '--wait',
    ]);
    expect(submitted, worker.stderr).toMatchObject({ code: 0 });
    expect([...service.receiver.received.keys()]).toEqual([`${submitted.stdout.trim()}/sendMail`]);
  });

  test('demo counts nothing lost, phantom or doubled', async () => {
    const { code, stdout } = await holdfast(['demo']);
    expect(code).toBe(0);
    expect(stdout).toMatch(/20 submitted, 20 todos, 20 alerts, 20 audits\n0 lost, 0 phantom, 0 doubled/);
    // The kill strikes while audits are under way: what it leaves in doubt is asked about, or comes again.
    const [, inDoubt = 0] = /(\d+) audits were in doubt/.exec(stdout) ?? [];
    const [, repeats] = /(\d+) deliveries were repeats/.exec(stdout)!;
    expect(Number(inDoubt) + Number(repeats)).toBeGreaterThan(0);
  });
});
