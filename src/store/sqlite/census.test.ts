import { join } from 'node:path';
import fc from 'fast-check';
import { expect, onTestFinished, test } from 'vitest';
import { answerTo, error, ok, testClock, todoMachine } from '../../../test/harness/engine.ts';
import { tempDir } from '../../../test/harness/tmp.ts';
import { advance, redrive, start } from '../../engine/interpreter.ts';
import type { Incident, Run } from '../../engine/run.ts';
import { openDatabase } from '../../sqlite/database.ts';
import { isCensusRight } from './census.ts';
import { SqliteStore } from './sqlite-store.ts';

const machine = todoMachine();
const clock = testClock();
const refs = [machine.ref];

const open = async () => {
  const db = openDatabase(join(tempDir(), 'store.db'));
  onTestFinished(() => db.close());
  const store = new SqliteStore(db);
  await store.prepare([machine]);
  for (const worker of ['a', 'b']) await store.join(worker);
  return { db, store };
};

const begin = (id: string) => ({ ...start(machine, id, { title: 'Milk' }, clock), expected: null });

const incidents: Record<string, (run: Run) => Incident> = {
  succeeds: (run) => answerTo(machine, run, ok()),
  fails: (run) => answerTo(machine, run, error('HTTP 422', { permanent: true })),
  waits: (run) => answerTo(machine, run, error('HTTP 503')),
  isCancelled: () => ({ type: 'cancelled' }),
};

const step = fc.record({
  worker: fc.constantFrom('a', 'b'),
  ids: fc.uniqueArray(fc.constantFrom('1', '2', '3', '4', '5'), { minLength: 1 }),
  what: fc.constantFrom(
    'begin',
    ...Object.keys(incidents),
    'succeeds',
    'succeeds',
    'stale',
    'refused',
    'redrive',
    'cancel',
    'prune',
    'leave',
  ),
});

/** Through every place, so that none is left out by chance. */
const tour = [
  ['begin', '1', '2', '3', '4', '5'],
  ['succeeds', '1', '2', '5'],
  ['fails', '3'],
  ['isCancelled', '4'],
  ['waits', '2'],
  ['succeeds', '1'],
  ['redrive', '3'],
  ['begin', '4', '6', '7'],
  ['fails', '6'],
  ['waits', '7'],
].map(([what, ...ids]) => ({ worker: 'a', what: what!, ids }));

test('whatever happens to runs, the census says where they are', async () => {
  const { db, store } = await open();
  const ownerOf = ({ id }: Run) =>
    db.get<{ owner: string | null }>('SELECT owner FROM runs WHERE id = :id', { id })?.owner;
  const changeOf = (run: Run | undefined, what: string) => {
    const next = run?.status === 'active' ? incidents[what] : undefined;
    // A run that only waits wants no call.
    const moved =
      next && (what === 'isCancelled' || run!.dueAt === null)
        ? advance(machine, run!, next(run!), clock)
        : undefined;
    return moved && { ...moved, expected: run!.seq };
  };
  const take = async ({ worker, ids, what }: { worker: string; ids: string[]; what: string }) => {
    const runs = await Promise.all(ids.map((id) => store.get(id)));
    const found = runs.filter((run) => run !== undefined);
    switch (what) {
      case 'begin':
        return void (await store.commit(worker, ids.map(begin)));
      case 'refused':
        return void (await store.commit(worker, [
          begin('6'),
          ...ids.map((id) => ({
            ...begin(id),
            writes: [{ sql: 'INSERT INTO nowhere VALUES (1)', params: {} }],
          })),
        ]));
      case 'stale':
        return void (await store.commit(
          worker,
          found
            .flatMap((run) => changeOf(run, 'succeeds') ?? [])
            .map((one) => ({ ...one, expected: one.expected - 1 })),
        ));
      case 'redrive':
        for (const run of found)
          if (run.status === 'failed')
            await store.amend({ ...redrive(machine, run, clock), expected: run.seq });
        return undefined;
      case 'cancel':
        for (const run of found) {
          const change = changeOf(run, 'isCancelled');
          if (change) await store.amend(change);
        }
        return undefined;
      case 'prune':
        return void (await store.prune({ before: Infinity, statuses: ['done', 'cancelled'] }, ids.length));
      case 'leave':
        await store.leave(worker);
        await store.join(worker);
        return void (await store.resume(worker === 'a' ? 'b' : 'a', refs, ids.length));
      default:
        for (const run of found) {
          const change = changeOf(run, what);
          if (change) await store.commit(ownerOf(run) ?? worker, [change]);
        }
        return undefined;
    }
  };
  const places = new Set<string>();
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 40 }), async (steps) => {
      for (const one of steps) {
        await take(one);
        expect(isCensusRight(db)).toBe(true);
      }
      for (const { state } of await store.census()) places.add(state);
    }),
    { numRuns: 30, examples: [[tour]] },
  );
  expect([...places].toSorted()).toEqual(
    [
      'cancelled',
      'done',
      'failed',
      'retryingAlert',
      'retryingAudit',
      'sendingAlert',
      'sendingAudit',
    ].toSorted(),
  );
});
