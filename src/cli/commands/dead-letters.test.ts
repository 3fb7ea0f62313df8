import { existsSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { cli, newStore } from '../../../test/harness/cli-fixture.ts';
import { tempDir } from '../../../test/harness/tmp.ts';
import { EmbeddedQueue } from '../../queue/embedded/embedded-queue.ts';
import type { Database } from '../../sqlite/database.ts';

type Letter = { id: string; error?: string; messageId?: string | null; body?: Buffer };

const keep = (db: Database, { id, error = 'not JSON', messageId = 'one', body = Buffer.from('{') }: Letter) =>
  db.write(() =>
    db.run(
      `INSERT INTO dead_letters (id, at, error, message_id, machine, body) VALUES (:id, 1000, :error, :messageId, 'create-todo', :body)`,
      {
        id,
        error,
        messageId,
        body,
      },
    ),
  );

test('dead letters are listed with their reason, printed harmless', async () => {
  const { db, path: file } = await newStore();
  await keep(db, { id: 'a1', error: 'not JSON \u001b[2J' });
  const { out } = await cli(['dead-letters', 'list', '--store', file], { tty: true });
  expect(out).toContain('not JSON \\u001b[2J');
  expect(out).not.toContain('\u001b');
  expect((await cli(['dead-letters', 'list', '--store', file, '-o', 'ids'])).out).toBe('a1\n');
});

test('stderr says when there are more than the limit', async () => {
  const { db, path: file } = await newStore();
  for (const id of ['a1', 'b1']) await keep(db, { id });
  const list = (limit: string) =>
    cli(['dead-letters', 'list', '--store', file, '-o', 'ids', '--limit', limit]);
  expect(await list('1')).toMatchObject({ out: 'a1\n', err: expect.stringContaining('more than these 1') });
  expect(await list('2')).toMatchObject({ out: 'a1\nb1\n', err: '' });
});

test('as JSON a body is base64, and text as well where it is UTF-8', async () => {
  const { db, path: file } = await newStore();
  await keep(db, { id: 'a1', messageId: null });
  await keep(db, { id: 'b1', body: Buffer.from([0xff, 0x00]) });
  const list = JSON.parse((await cli(['dead-letters', 'list', '--store', file, '-o', 'json'])).out);
  expect(list[0]).toEqual({
    id: 'a1',
    at: '1970-01-01T00:00:01.000Z',
    error: 'not JSON',
    machine: 'create-todo',
    messageId: null,
    body: 'ew==',
    text: '{',
  });
  expect(list[1]).toMatchObject({ body: '/wA=', text: null });
  expect(JSON.parse((await cli(['dead-letters', 'show', 'b', '--store', file, '-o', 'json'])).out)).toEqual(
    list[1],
  );
});

test('a body that is text is shown line by line, printed harmless', async () => {
  const { db, path: file } = await newStore();
  await keep(db, { id: 'a1', body: Buffer.from('one\u001b[2J\n\u009btwo') });
  const { out } = await cli(['dead-letters', 'show', 'a1', '--store', file], { tty: true });
  expect(out).toContain('\n  one\\u001b[2J\n  \\u009btwo\n');
  // oxlint-disable-next-line no-control-regex
  expect(out).not.toMatch(/[\u001b\u009b]/);
});

test('a body that is not text is shown as a hex dump, and not all of it', async () => {
  const { db, path: file } = await newStore();
  await keep(db, { id: 'a1', body: Buffer.concat([Buffer.from([0xff, 0x1b]), Buffer.alloc(998, 'A')]) });
  const { out } = await cli(['dead-letters', 'show', 'a1', '--store', file]);
  expect(out).toContain('  0000  ff 1b 41 41 41 41 41 41 41 41 41 41 41 41 41 41  ..AAAAAAAAAAAAAA\n');
  expect(out).toContain('… and 488 more');
});

test('requeue publishes the message as it was and forgets the dead letter; drop only forgets it', async () => {
  const { db, path: file } = await newStore();
  await keep(db, { id: 'a1', body: Buffer.from('{"title":"Milk"}') });
  await keep(db, { id: 'b1' });
  await keep(db, { id: 'c1' });
  expect(await cli(['dead-letters', 'requeue', 'a', '--store', file])).toEqual({
    code: 0,
    out: '',
    err: 'a1: submitted again\n',
  });
  expect(await cli(['dead-letters', 'drop', '-', '--store', file], { input: 'b1\nc1\n' })).toMatchObject({
    code: 0,
    err: 'b1: dropped\nc1: dropped\n',
  });
  expect(await new EmbeddedQueue(db).depth()).toMatchObject({ ready: 1, dead: 0 });
  expect(db.all('SELECT id, machine, body FROM messages')).toEqual([
    { id: 'one', machine: 'create-todo', body: Buffer.from('{"title":"Milk"}') },
  ]);
});

test('where one of the ids is unknown or ambiguous, none is touched', async () => {
  const { db, path: file } = await newStore();
  for (const id of ['a1', 'a2', 'b1']) await keep(db, { id });
  expect(await cli(['dead-letters', 'drop', 'b1', 'x', '--store', file])).toMatchObject({ code: 4 });
  expect(await cli(['dead-letters', 'drop', 'b1', 'a', '--store', file])).toMatchObject({
    code: 4,
    err: expect.stringContaining('a1'),
  });
  expect(await cli(['dead-letters', 'show', 'x', '--store', file])).toMatchObject({ code: 4, out: '' });
  expect(await new EmbeddedQueue(db).depth()).toMatchObject({ dead: 3 });
});

test('to look for dead letters where there is no store makes none', async () => {
  const file = path.join(tempDir(), 'none.db');
  expect(await cli(['dead-letters', 'list', '--store', file, '-o', 'json'])).toMatchObject({
    code: 0,
    out: '[]\n',
    err: expect.stringContaining('no store at'),
  });
  expect(await cli(['dead-letters', 'drop', 'x', '--store', file])).toMatchObject({ code: 4 });
  expect(existsSync(file)).toBe(false);
});

test('dead-letters alone shows what there is, and is no success', async () => {
  expect(await cli(['dead-letters'])).toMatchObject({ code: 2, err: expect.stringContaining('requeue') });
});
