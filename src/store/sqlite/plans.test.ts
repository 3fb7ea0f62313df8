import { join } from 'node:path';
import { expect, onTestFinished, test, vi } from 'vitest';
import { answerTo, error, ok, testClock, todoMachine } from '../../../test/harness/engine.ts';
import { tempDir } from '../../../test/harness/tmp.ts';
import { advance, start } from '../../engine/interpreter.ts';
import { openDatabase } from '../../sqlite/database.ts';
import type { Params } from '../../sqlite/database.ts';
import { SqliteStore } from './sqlite-store.ts';

/** The indexes of unfinished runs hold few entries. */
const isLong = (plan: string): boolean =>
  /\bSCAN (runs|one|before|transitions)\b/.test(plan) &&
  !/USING (COVERING )?INDEX runs_(un)?owned/.test(plan);

const machine = todoMachine();
const refs = [machine.ref];

test('nothing that a worker or a person asks goes through all runs', async () => {
  const db = openDatabase(join(tempDir(), 'store.db'));
  onTestFinished(() => db.close());
  const store = new SqliteStore(db);
  await store.prepare([machine]);
  await store.join('a');
  const clock = testClock();
  for (const [id, result] of [
    ['r1', ok()],
    ['r2', error('HTTP 422', { permanent: true })],
    ['r3', undefined],
  ] as const) {
    const { run, ...rest } = start(machine, id, { title: 'Milk' }, clock);
    await store.commit('a', [{ run, ...rest, expected: null }]);
    if (!result) continue;
    const next = advance(machine, run, answerTo(machine, run, result), clock)!;
    await store.commit('a', [{ ...next, expected: run.seq }]);
  }
  const asked = new Map<string, Params>();
  for (const method of ['all', 'get'] as const) {
    const original = db[method].bind(db);
    vi.spyOn(db, method).mockImplementation((sql: string, params: Params = {}) => {
      asked.set(sql, params);
      return original(sql, params) as never;
    });
  }
  const filters = [
    {},
    { status: 'failed' },
    { status: 'active' },
    { state: 'sendingAudit' },
    { machine: 'create-todo' },
  ] as const;
  for (const filter of filters) await store.list({ ...filter, limit: 10 });
  expect(await store.get('r1')).toBeDefined();
  expect(await store.history('r1')).toHaveLength(4);
  expect(await store.find('r', 10)).toHaveLength(3);
  expect(await store.census()).toHaveLength(3);
  await store.stranded([]);
  await store.claim('a', refs, [{ id: 'r1', redelivered: false }]);
  await store.renew('a');
  expect(await store.prunable({ before: Infinity, statuses: ['failed'] })).toBe(1);
  expect(await store.prune({ before: 0, statuses: ['failed'] }, 10)).toBe(0);
  await store.leave('a');
  await store.join('a');
  expect(await store.resume('a', refs, 10)).toHaveLength(2);
  vi.restoreAllMocks();
  for (const [sql, params] of asked) {
    const plan = db.all<{ detail: string }>(`EXPLAIN QUERY PLAN ${sql}`, params).map(({ detail }) => detail);
    expect(plan.filter(isLong), `${sql}\n${plan.join('\n')}`).toEqual([]);
  }
  expect(asked.size).toBeGreaterThan(10);
});
