import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { testClock, todoMachine } from '../../../test/harness/engine.ts';
import { tempDir } from '../../../test/harness/tmp.ts';
import { start } from '../../engine/interpreter.ts';
import { openDatabase } from '../../sqlite/database.ts';
import type { Database } from '../../sqlite/database.ts';
import { leaseMs } from '../../sqlite/workers.ts';
import { describeStore } from '../store.suite.ts';
import { SqliteStore } from './sqlite-store.ts';

describeStore('the SQLite store', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-'));
  const path = join(folder, 'store.db');
  const connections: Database[] = [];
  const open = () => {
    const db = openDatabase(path);
    connections.push(db);
    return db;
  };
  const db = open();
  return {
    store: new SqliteStore(db),
    another: () => new SqliteStore(open()),
    // As if its process had ended: no process has that number.
    kill: (worker) =>
      db.write(() => void db.run('UPDATE workers SET pid = 999999999 WHERE id = :worker', { worker })),
    todos: () => db.all<{ id: string }>('SELECT id FROM todos ORDER BY id').map(({ id }) => id),
    close: async () => {
      for (const connection of connections) connection.close();
      rmSync(folder, { recursive: true });
    },
  };
});

test('a dead worker’s runs are let go of a page at a time, so that the first ones need not wait for the last', async () => {
  const db = openDatabase(join(tempDir(), 'store.db'));
  onTestFinished(() => db.close());
  const store = new SqliteStore(db);
  const machine = todoMachine();
  await store.prepare([machine]);
  await Promise.all([store.join('a'), store.join('b')]);
  const count = 4500;
  const begun = Array.from({ length: count }, (_, index) => ({
    ...start(machine, `r${index}`, { title: 'Buy milk' }, testClock()),
    expected: null,
  }));
  await store.commit('a', begun);
  await db.write(() => db.run("UPDATE workers SET expires_at = 0 WHERE id = 'a'"));
  const takenUp: number[] = [];
  const takeUp = async () => {
    await store.renew('b');
    takenUp.push((await store.resume('b', [machine.ref], count)).length);
  };
  for (let look = 0; look < 4; look++) await takeUp();
  expect(takenUp).toEqual([2000, 2000, 500, 0]);
  expect(db.all('SELECT id FROM workers')).toEqual([{ id: 'b' }]);
});

test('a lease that was taken before the clock was set back ends within a lease', async () => {
  const db = openDatabase(join(tempDir(), 'store.db'));
  onTestFinished(() => db.close());
  let now = Date.UTC(2026, 0, 1);
  const workerOf = (host: string) =>
    new SqliteStore(db, () => now, leaseMs, { pid: 1, name: () => host, bornOf: () => 'then' });
  const [here, elsewhere] = [workerOf('here'), workerOf('another container')];
  await Promise.all([here.join('a'), elsewhere.join('b')]);
  const isHeldAfter = async (ms: number) => {
    now += ms;
    await here.renew('a');
    return (await elsewhere.renew('b')).held;
  };
  expect(await isHeldAfter(-3_600_000)).toBe(true); // it lives, and renews
  expect(await isHeldAfter(leaseMs - 1)).toBe(true);
  now -= 3_600_000;
  await here.renew('a');
  expect(await isHeldAfter(leaseMs)).toBe(false);
});
