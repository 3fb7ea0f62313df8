import { existsSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { accepted, away, cli, fakeIo, newStore, noon, refused } from '../../../test/harness/cli-fixture.ts';
import { tempDir } from '../../../test/harness/tmp.ts';
import { list } from './list.ts';

const table = { limit: 50, output: 'table' } as const;

test('runs are listed as they changed, the last one first, with their state, their age and their title', async () => {
  const { store, begin, answer } = await newStore();
  await begin('one', 'Milk');
  await answer(await begin('two', 'Bread'), away, noon + 60_000);
  const { io, out } = fakeIo();
  await list({ archive: store, io, now: () => noon + 63_000 }, table);
  expect(out()).toBe(
    'ID   STATE            UPDATED  INPUT\n' +
      'two  retryingAlert      3.0 s  Bread\n' +
      'one  sendingAlert   1 min 3 s  Milk\n',
  );
});

test('a hostile title reaches the terminal as plain text', async () => {
  const { store, begin } = await newStore();
  await begin('one', '\u001b[2J\u009b31mgone\n\u202eback');
  const { io, out } = fakeIo({ tty: true });
  await list({ archive: store, io, now: () => noon }, table);
  expect(out()).toContain('\\u001b[2J\\u009b31mgone\\n\\u202eback');
  // oxlint-disable-next-line no-control-regex
  expect(out()).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/);
});

test('on a terminal no line is wider than 80 columns, and what is cut ends in an ellipsis', async () => {
  const { store, begin } = await newStore();
  await begin(
    '0199f0c2-aaaa-7bbb-8ccc-ddddeeeeffff',
    'A title that is much longer than what is left of the line for it',
  );
  await begin('0199f0c2-aaaa-7bbb-8ccc-ddddeeeefff0', '買牛奶買牛奶買牛奶買牛奶買牛奶買牛奶買牛奶買牛奶');
  const { io, out } = fakeIo({ tty: true });
  await list({ archive: store, io, now: () => noon }, table);
  expect(out()).toContain('0199f0c2-aaaa-7bbb-8ccc-ddddeeeeffff');
  expect(out()).toContain('…\n');
  for (const line of out().split('\n')) expect(line.length).toBeLessThanOrEqual(80);
});

test('piped, nothing is cut', async () => {
  const { store, begin } = await newStore();
  await begin('one', 'long '.repeat(80).trim());
  const { io, out } = fakeIo();
  await list({ archive: store, io }, table);
  expect(out()).toContain('long '.repeat(80).trim());
});

test('an id is data where it is piped, and harmless on a terminal', async () => {
  const { path: file, begin } = await newStore();
  await begin('milk\u202e', 'Milk');
  expect((await cli(['list', '--store', file, '-o', 'ids'])).out).toBe('milk\u202e\n');
  expect((await cli(['list', '--store', file, '-o', 'ids'], { tty: true })).out).toBe('milk\\u202e\n');
});

test('runs are chosen by state, status and machine', async () => {
  const { path: file, begin, answer } = await newStore();
  await begin('one', 'Milk');
  await answer(await begin('two', 'Bread'), refused);
  const ids = async (...args: string[]) => (await cli(['list', '--store', file, '-o', 'ids', ...args])).out;
  expect(await ids()).toBe('two\none\n');
  expect(await ids('--status', 'failed')).toBe('two\n');
  expect(await ids('--state', 'sendingAlert')).toBe('one\n');
  expect(await ids('--machine', 'create-todo')).toBe('two\none\n');
  expect(await ids('--machine', 'other')).toBe('');
});

test('stderr says when there are more than the limit, and only then', async () => {
  const { path: file, begin } = await newStore();
  await begin('one', 'Milk');
  await begin('two', 'Bread');
  const cut = await cli(['list', '--store', file, '--limit', '1', '-o', 'ids']);
  expect(cut).toMatchObject({ code: 0, out: 'two\n', err: expect.stringContaining('more than these 1') });
  expect((await cli(['list', '--store', file, '--limit', '2', '-o', 'ids'])).err).toBe('');
});

test('json and jsonl carry the same data, with times in ISO 8601', async () => {
  const { path: file, begin, answer } = await newStore();
  await answer(await begin('one', 'Milk \u009b\u2028'), accepted);
  const { out: json } = await cli(['list', '--store', file, '-o', 'json'], { tty: true });
  const { out: jsonl } = await cli(['list', '--store', file, '-o', 'jsonl']);
  expect(json).not.toMatch(/[\u0080-\u009f\u2028]/);
  expect(JSON.parse(json)).toEqual([JSON.parse(jsonl)]);
  expect(JSON.parse(jsonl)).toEqual({
    id: 'one',
    machine: 'create-todo',
    version: '1',
    status: 'active',
    state: 'sendingAudit',
    seq: 4,
    input: { title: 'Milk \u009b\u2028' },
    reason: null,
    createdAt: '2026-11-23T12:00:00.000Z',
    updatedAt: '2026-11-23T12:00:01.000Z',
  });
});

test('no store yet is an empty list with a word on stderr, and makes no file', async () => {
  const file = path.join(tempDir(), 'none.db');
  const { code, out, err } = await cli(['list', '--store', file, '-o', 'json']);
  expect({ code, out }).toEqual({ code: 0, out: '[]\n' });
  expect(err).toContain(`no store at ${file} yet`);
  expect(existsSync(file)).toBe(false);
});

test('a file that a worker has only just made counts as no store yet', async () => {
  const file = path.join(tempDir(), 'empty.db');
  writeFileSync(file, '');
  expect(await cli(['list', '--store', file])).toMatchObject({
    code: 0,
    err: expect.stringContaining('no store at'),
  });
});

test.each([
  ['--limit', '0'],
  ['--limit', 'many'],
  ['--status', 'lost'],
  ['-o', 'xml'],
])('%s %s is refused', async (...args) => {
  expect(await cli(['list', ...args])).toMatchObject({ code: 2, out: '' });
});

test('where a state has no runs, the states that have some are named', async () => {
  const { store, begin } = await newStore();
  await begin('one', 'Milk');
  const { io, err } = fakeIo();
  await list({ archive: store, io }, { ...table, state: 'sendingalert' });
  expect(err()).toBe('No runs. The state "sendingalert" has none; there are runs in sendingAlert.\n');
});
