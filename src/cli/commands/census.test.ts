import path from 'node:path';
import { expect, test } from 'vitest';
import { accepted, away, cli, fakeIo, newStore, noon, refused } from '../../../test/harness/cli-fixture.ts';
import { tempDir } from '../../../test/harness/tmp.ts';
import { census } from './census.ts';

const filled = async () => {
  const open = await newStore();
  await open.begin('one', 'Milk', noon);
  await open.begin('two', 'Bread', noon + 5000);
  await open.answer(await open.begin('three', 'Salt'), refused);
  await open.answer(await open.answer(await open.begin('four', 'Tea'), accepted), accepted, noon + 9000);
  await open.answer(await open.begin('five', 'Rice'), away, noon + 2000);
  return open;
};

test('the census counts the runs in each state, unfinished ones first, and tells since when the oldest is there', async () => {
  const { store } = await filled();
  const { io, out } = fakeIo();
  await census({ archive: store, io, now: () => noon + 60_000 }, { output: 'table' });
  expect(out()).toBe(
    'MACHINE        STATE          RUNS  OLDEST SINCE                    AGE\n' +
      'create-todo@1  sendingAlert      2  2026-11-23T12:00:00.000Z  1 min 0 s\n' +
      'create-todo@1  retryingAlert     1  2026-11-23T12:00:02.000Z     58.0 s\n' +
      'create-todo@1  done              1  2026-11-23T12:00:09.000Z     51.0 s\n' +
      'create-todo@1  failed            1  2026-11-23T12:00:01.000Z     59.0 s\n' +
      '\n5 runs: 3 active, 1 done, 1 failed\n',
  );
});

test('as JSON it has every state and the totals', async () => {
  const { path: file } = await filled();
  const { out } = await cli(['census', '--store', file, '-o', 'json']);
  const { states, totals } = JSON.parse(out);
  expect(totals).toEqual({ total: 5, active: 3, done: 1, failed: 1, cancelled: 0 });
  expect(states[0]).toEqual({
    machine: 'create-todo',
    version: '1',
    status: 'active',
    state: 'sendingAlert',
    count: 2,
    oldest: '2026-11-23T12:00:00.000Z',
  });
});

test('no store yet is a census of nothing, with a word on stderr', async () => {
  const file = path.join(tempDir(), 'none.db');
  expect(await cli(['census', '--store', file])).toEqual({
    code: 0,
    out: '',
    err: expect.stringMatching(/no store at .* yet.*\nNo runs\./),
  });
});
