import path from 'node:path';
import { expect, test, vi } from 'vitest';
import { cli, fakeIo, newStore, noon } from '../../../test/harness/cli-fixture.ts';
import { tempDir } from '../../../test/harness/tmp.ts';
import { sendAlertToTable } from '../../effects/alert-embedded.ts';
import { openDatabase, openReadOnly } from '../../sqlite/database.ts';
import type { Database } from '../../sqlite/database.ts';
import { SqliteStore } from '../../store/sqlite/sqlite-store.ts';
import { alertsInStore } from '../alert-source.ts';
import { followAlerts, showAlerts } from './alerts.ts';

const send = (db: Database, id: string, title = 'Milk') => {
  const alert = { type: 'todo.added', subject: id, time: new Date(noon).toISOString(), data: { id, title } };
  const call = { key: `${id}/sendAlert`, attempt: 1, signal: new AbortController().signal };
  return sendAlertToTable(db, () => noon).perform(alert as never, call);
};

test('alerts are shown oldest first, and a repeat under the same key is marked', async () => {
  const { db, store } = await newStore();
  for (const id of ['one', 'two', 'one']) await send(db, id);
  const { io, out } = fakeIo();
  await showAlerts({ source: alertsInStore(db, store), io }, { limit: 50, output: 'table' });
  expect(out()).toBe(
    'TIME                      TYPE        KEY\n' +
      '2026-11-23T12:00:00.000Z  todo.added  one/sendAlert\n' +
      '2026-11-23T12:00:00.000Z  todo.added  two/sendAlert\n' +
      '2026-11-23T12:00:00.000Z  todo.added  one/sendAlert  repeat\n',
  );
});

test('what others put there and nests beyond reason is shown as a text', async () => {
  const { db, path: file } = await newStore();
  const event = `${'['.repeat(20_000)}${']'.repeat(20_000)}`;
  await db.write(() => db.run(`INSERT INTO alerts (key, at, event) VALUES ('deep', 0, :event)`, { event }));
  const { code, out } = await cli(['alerts', '--store', file, '-o', 'jsonl']);
  expect(code).toBe(0);
  expect(JSON.parse(out)).toMatchObject({ key: 'deep', event });
});

test('a limit shows the newest, and a repeat of one that is not shown is a repeat all the same', async () => {
  const { db, path: file } = await newStore();
  for (const id of ['one', 'two', 'one']) await send(db, id);
  const { out, err } = await cli(['alerts', '--store', file, '--limit', '2', '-o', 'jsonl']);
  const [two, one, ...others] = out
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  expect(two).toMatchObject({ key: 'two/sendAlert', repeat: false });
  expect(one).toMatchObject({
    key: 'one/sendAlert',
    at: '2026-11-23T12:00:00.000Z',
    repeat: true,
    event: { type: 'todo.added' },
  });
  expect(others).toEqual([]);
  expect(err).toContain('more than these 2');
});

test('following shows each alert of another process once, until it is interrupted', async () => {
  const { db, path: file } = await newStore();
  await send(db, 'one');
  const reader = openReadOnly(file)!;
  const source = alertsInStore(reader, new SqliteStore(reader));
  const { io, out, interrupt } = fakeIo();
  await showAlerts({ source, io }, { limit: 50, output: 'jsonl' });
  const following = followAlerts({ source, io }, { limit: 50, output: 'jsonl' });
  await send(db, 'two');
  await send(db, 'one');
  await vi.waitFor(() => expect(out().trim().split('\n')).toHaveLength(3), { timeout: 5000 });
  interrupt();
  expect(await following).toBe(130);
  reader.close();
  const lines = out()
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  expect(lines.map(({ key, repeat }) => [key, repeat])).toEqual([
    ['one/sendAlert', false],
    ['two/sendAlert', false],
    ['one/sendAlert', true],
  ]);
});

test('following ends when nobody reads on', async () => {
  const { db, path: file } = await newStore();
  const reader = openReadOnly(file)!;
  const { io } = fakeIo();
  const source = alertsInStore(reader, new SqliteStore(reader));
  const following = followAlerts({ source, io }, { limit: 50, output: 'jsonl' });
  io.out.destroy(new Error('EPIPE'));
  await send(db, 'one');
  expect(await following).toBe(0);
  reader.close();
});

test('what was put into an alert is printed harmless, even if it is no event', async () => {
  const { db, store } = await newStore();
  await send(db, 'evil\u001b[2J');
  await db.write(() => db.run(`INSERT INTO alerts (key, at, event) VALUES ('two', 0, 'no JSON')`));
  const { io, out } = fakeIo({ tty: true });
  await showAlerts({ source: alertsInStore(db, store), io }, { limit: 50, output: 'table' });
  expect(out()).toContain('evil\\u001b[2J/sendAlert');
  expect(out()).toContain('unreadable');
  expect(out()).not.toContain('\u001b');
});

test('no store yet means no alerts; there is nothing to follow', async () => {
  const file = path.join(tempDir(), 'none.db');
  expect(await cli(['alerts', '--store', file])).toMatchObject({
    code: 0,
    out: '',
    err: expect.stringContaining('no store at'),
  });
  expect(await cli(['alerts', '--store', file, '--follow'])).toMatchObject({
    code: 4,
    err: expect.stringContaining('no store at'),
  });
  const empty = path.join(tempDir(), 'holdfast.db');
  openDatabase(empty).close();
  expect(await cli(['alerts', '--store', empty])).toMatchObject({ code: 0, out: '', err: 'No alerts.\n' });
});
