import path from 'node:path';
import { expect, test } from 'vitest';
import { accepted, away, cli, fakeIo, newStore, noon, refused } from '../../../test/harness/cli-fixture.ts';
import { tempDir } from '../../../test/harness/tmp.ts';
import { createRegistry } from '../../machines/registry.ts';
import { inspect } from './inspect.ts';

const inspected = async (file: string, id: string) =>
  JSON.parse((await cli(['inspect', id, '--store', file, '-o', 'json'])).out);

test('as JSON a run has its documented keys, and a history row for each transition', async () => {
  const { path: file, begin, answer } = await newStore();
  await answer(await begin('one', 'Milk'), refused);
  const run = await inspected(file, 'one');
  expect(Object.keys(run)).toEqual([
    'id',
    'machine',
    'version',
    'status',
    'state',
    'seq',
    'input',
    'context',
    'waitingFor',
    'reason',
    'createdAt',
    'updatedAt',
    'history',
  ]);
  expect(run).toMatchObject({
    id: 'one',
    machine: 'create-todo',
    version: '1',
    status: 'failed',
    state: 'failed',
    seq: 4,
    input: { title: 'Milk' },
    context: { todo: { title: 'Milk' } },
    waitingFor: null,
    reason: 'HTTP 422: no\u001b[2J',
    createdAt: '2026-11-23T12:00:00.000Z',
    updatedAt: '2026-11-23T12:00:01.000Z',
  });
  expect(run.history).toHaveLength(4);
  expect(run.history[0]).toEqual({
    seq: 1,
    at: '2026-11-23T12:00:00.000Z',
    event: 'start',
    from: null,
    to: 'saving',
    durationMs: null,
    attempt: null,
    error: null,
    receipt: null,
  });
  expect(run.history[3]).toEqual({
    seq: 4,
    at: '2026-11-23T12:00:01.000Z',
    event: 'sendAlert error',
    from: 'sendingAlert',
    to: 'failed',
    durationMs: 12,
    attempt: 1,
    error: 'HTTP 422: no\u001b[2J',
    receipt: { status: 422 },
  });
});

test('a run that waits for a receiver that is away says so, and since when', async () => {
  const { path: file, store, begin } = await newStore();
  await begin('one', 'Milk');
  const now = Date.now();
  const outage = { machine: 'create-todo', since: now - 300_000, nextProbeAt: now + 20_000, waiting: 7 };
  await store.noteOutages('worker', [
    { ...outage, call: 'sendAlert', error: 'HTTP 503\u001b[2J' },
    { ...outage, call: 'sendAudit', error: 'another one' },
  ]);
  const { waitingFor } = await inspected(file, 'one');
  expect(waitingFor).toEqual([
    expect.objectContaining({
      call: 'sendAlert',
      away: {
        since: new Date(now - 300_000).toISOString(),
        nextProbeAt: new Date(now + 20_000).toISOString(),
        error: 'HTTP 503\u001b[2J',
      },
    }),
  ]);
  const { out } = await cli(['inspect', 'one', '--store', file]);
  expect(out).toMatch(/away +its receiver, since \S+ \(5 min 0 s\): HTTP 503/);
  expect(out).toMatch(/next probe +in (19|20)\.\d s/);
  expect(out).not.toContain('\u001b[2J');
});

test('a run that waits for a call names it, its key and its attempt', async () => {
  const { path: file, begin } = await newStore();
  await begin('one', 'Milk');
  expect((await inspected(file, 'one')).waitingFor).toEqual([
    { type: 'call', call: 'sendAlert', key: 'one/sendAlert', attempt: 1, away: null },
  ]);
});

test('a run that waits for a timer names its event and until when', async () => {
  const { path: file, begin, answer } = await newStore();
  await answer(await begin('one', 'Milk'), away);
  expect((await inspected(file, 'one')).waitingFor).toEqual([
    { type: 'timer', event: 'after backoff', until: '2026-11-23T12:00:01.100Z' },
  ]);
});

test('a run whose machine is not known here is shown all the same, and says so', async () => {
  const { store, begin } = await newStore();
  await begin('one', 'Milk');
  const registry = createRegistry([]);
  const json = fakeIo();
  await inspect({ archive: store, registry, io: json.io }, 'one', { output: 'json' });
  expect(JSON.parse(json.out()).waitingFor).toEqual([{ type: 'machine', machine: 'create-todo@1' }]);
  const text = fakeIo();
  await inspect({ archive: store, registry, io: text.io }, 'one', { output: 'text' });
  expect(text.out()).toContain('a worker that knows create-todo@1: it is not known here');
});

test('as text a run tells its story from top to bottom', async () => {
  const { store, registry, begin, answer } = await newStore();
  await answer(await answer(await begin('one', 'Milk'), accepted), away, noon + 2000);
  const { io, out } = fakeIo();
  await inspect({ archive: store, registry, io, now: () => noon + 2000 }, 'one', { output: 'text' });
  expect(out()).toContain('waits for  "after backoff" until 2026-11-23T12:00:02.100Z (in 100 ms)\n');
  expect(out().slice(out().indexOf('Timeline'))).toBe(
    'Timeline\n' +
      'SEQ  TIME           EVENT            FROM → TO                     TRY   TOOK\n' +
      '  1  12:00:00.000Z  start            saving\n' +
      '  2  12:00:00.000Z  saveTodo done    saving → makingAlert            1\n' +
      '  3  12:00:00.000Z  makeAlert done   makingAlert → sendingAlert      1\n' +
      '  4  12:00:01.000Z  sendAlert done   sendingAlert → sendingAudit     1  12 ms\n' +
      '     receipt {"status":200}\n' +
      '  5  12:00:02.000Z  sendAudit error  sendingAudit → retryingAudit    1  12 ms\n' +
      '     nobody answers\n',
  );
});

test('on a terminal the timeline keeps to 80 columns', async () => {
  const { store, registry, begin, answer } = await newStore();
  await answer(await answer(await begin('one', 'Milk'), accepted), away, noon + 2000);
  const { io, out } = fakeIo({ tty: true });
  await inspect({ archive: store, registry, io }, 'one', { output: 'text' });
  for (const line of out().split('\n')) expect(line.length).toBeLessThanOrEqual(80);
});

test('nothing that was submitted or answered can move the cursor', async () => {
  const { store, registry, begin, answer } = await newStore();
  await answer(await begin('one', 'evil \u001b[2J\u009b\u2028\u202e'), refused);
  const { io, out } = fakeIo({ tty: true });
  await inspect({ archive: store, registry, io }, 'one', { output: 'text' });
  expect(out()).toContain('\\u001b[2J\\u009b\\u2028\\u202e');
  expect(out()).toContain('HTTP 422: no\\u001b[2J');
  // oxlint-disable-next-line no-control-regex
  expect(out()).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u2028\u202e]/);
});

test('an unknown id, an ambiguous one, and no store at all end with 4', async () => {
  const { path: file, begin } = await newStore();
  await begin('milk-1', 'Milk');
  await begin('milk-2', 'Milk');
  expect(await cli(['inspect', 'bread', '--store', file])).toMatchObject({ code: 4, out: '' });
  expect(await cli(['inspect', 'milk', '--store', file])).toMatchObject({
    code: 4,
    err: expect.stringContaining('  milk-1\nholdfast:   milk-2'),
  });
  const none = path.join(tempDir(), 'none.db');
  expect(await cli(['inspect', 'milk', '--store', none])).toMatchObject({
    code: 4,
    out: '',
    err: `holdfast: no store at ${none} yet: name it with --store or start a worker\n`,
  });
});
