import path from 'node:path';
import { describe, expect, test, vi } from 'vitest';
import { accepted, cli, newStore, refused } from '../../../test/harness/cli-fixture.ts';
import { tempDir } from '../../../test/harness/tmp.ts';
import { EmbeddedQueue } from '../../queue/embedded/embedded-queue.ts';

const hour = 3_600_000;

/** Runs that ended two hours ago: two that are done, one that failed; one that ended just now, and one that goes on. */
const filled = async () => {
  const open = await newStore();
  const old = Date.now() - 2 * hour;
  const done = async (id: string, at: number) =>
    open.answer(await open.answer(await open.begin(id, 'Milk', at), accepted, at), accepted, at);
  await done('done-1', old);
  await done('done-2', old);
  await open.answer(await open.begin('failed', 'Salt', old), refused, old);
  await open.begin('active', 'Tea', old);
  await done('young', Date.now());
  const ids = async () => (await open.store.list({ limit: 10 })).map(({ id }) => id).toSorted();
  return { ...open, prune: (...args: string[]) => cli(['prune', '--store', open.path, ...args]), ids };
};

test('runs that are done and ended long ago are pruned, and stderr says what becomes of the file', async () => {
  const { prune, ids } = await filled();
  const { code, out, err } = await prune('--older-than', '1h');
  expect([code, out]).toEqual([0, '2 runs pruned\n']);
  expect(err).toContain('The file keeps its size');
  expect(await ids()).toEqual(['active', 'failed', 'young']);
});

test('failed runs are pruned only where that is asked for', async () => {
  const { prune, ids } = await filled();
  expect((await prune('--older-than', '1h', '--status', 'failed')).out).toBe('1 run pruned\n');
  expect(await ids()).toEqual(['active', 'done-1', 'done-2', 'young']);
  expect((await prune('--older-than', '1h', '--status', 'active')).code).toBe(2);
});

test('a dry run counts, and changes nothing', async () => {
  const { prune, ids } = await filled();
  expect(await prune('--older-than', '1h', '--status', 'done', 'failed', '--dry-run')).toEqual({
    code: 0,
    out: '3 runs would be pruned\n',
    err: '',
  });
  expect(await ids()).toHaveLength(5);
});

test('as JSON it prints the counts', async () => {
  const { prune } = await filled();
  const given = ['--older-than', '1h', '-o', 'json'];
  expect(JSON.parse((await prune(...given, '--dry-run')).out)).toEqual({
    dryRun: true,
    endedBefore: expect.stringMatching(/^\d{4}-\d\d-\d\dT/),
    found: 2,
    pruned: 0,
  });
  expect(JSON.parse((await prune(...given)).out)).toMatchObject({ dryRun: false, found: 2, pruned: 2 });
  expect(JSON.parse((await prune(...given)).out)).toMatchObject({ found: 0, pruned: 0 });
});

describe('an age is refused', () => {
  test.each([
    ['below an hour', ['--older-than', '59m'], /--older-than is less than 1h or two laps: .* may still come/],
    ['below two laps', ['--older-than', '3h', '--lap', '2h'], /--older-than is less than 1h or two laps/],
    ['that is none', ['--older-than', 'a month'], /--older-than is not a duration; write 2h or 30d/],
    ['that is left out', [], /required option '--older-than <duration>' not specified/],
  ])('%s', async (_, args, message) => {
    const { prune, ids } = await filled();
    expect(await prune(...args)).toEqual({ code: 2, out: '', err: expect.stringMatching(message) });
    expect(await ids()).toHaveLength(5);
  });

  test('of a worker too, before it opens anything', async () => {
    vi.stubEnv('HOLDFAST_KEEP', '30m');
    const args = ['worker', '--store', path.join(tempDir(), 'none.db'), '--audit-url', 'http://localhost:1'];
    const { code, err } = await cli(args);
    vi.unstubAllEnvs();
    expect([code, err]).toEqual([2, expect.stringContaining('--keep (or HOLDFAST_KEEP) is less than 1h')]);
  });
});

describe('nothing is pruned while', () => {
  test('a message is ready, which may be of a run that has ended', async () => {
    const { prune, ids, db } = await filled();
    await new EmbeddedQueue(db).publish({ id: 'done-1', machine: 'create-todo', body: Buffer.from('{}') });
    const { code, err } = await prune('--older-than', '1h');
    expect([code, err]).toEqual([75, expect.stringContaining('run a worker until it has caught up')]);
    expect(await ids()).toHaveLength(5);
  });

  test('a worker that is dead holds one', async () => {
    const { prune, ids, db } = await filled();
    await new EmbeddedQueue(db).publish({ id: 'done-1', machine: 'create-todo', body: Buffer.from('{}') });
    await db.write(() =>
      db.exec(`UPDATE workers SET pid = 999999999; UPDATE messages SET holder = 'worker'`),
    );
    expect((await prune('--older-than', '1h')).code).toBe(75);
    expect(await ids()).toHaveLength(5);
  });
});

test('where there is no store, none is made', async () => {
  const file = path.join(tempDir(), 'none.db');
  for (let time = 1; time <= 2; time++)
    expect(await cli(['prune', '--store', file, '--older-than', '30d'])).toMatchObject({ code: 4, out: '' });
});
