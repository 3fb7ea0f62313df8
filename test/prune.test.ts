/** Retention beside real workers, and a pruner that is killed. */
import { describe, expect, inject, test } from 'vitest';
import { openDatabase } from '../src/sqlite/database.ts';
import type { Database } from '../src/sqlite/database.ts';
import { watchCommits } from '../src/sqlite/watch.ts';
import { holdfast, spawnHoldfast } from './harness/cli.ts';
import { emptied } from './harness/ends.ts';
import type { Ends } from './harness/ends.ts';
import { leave, openSite, startWorker } from './harness/worker.ts';

const queues = [
  ['embedded', 'embedded'],
  ['RabbitMQ', inject('amqpUrl')],
] as const;

const withStore = async <R>({ settings }: Ends, use: (db: Database) => Promise<R> | R): Promise<R> => {
  const db = openDatabase(settings.store);
  try {
    return await use(db);
  } finally {
    db.close();
  }
};

/** As if whatever is final had ended two hours ago. */
const age = (ends: Ends): Promise<void> =>
  withStore(ends, (db) =>
    db.write(() => void db.run(`UPDATE runs SET updated_at = updated_at - 7200000 WHERE status <> 'active'`)),
  );

const flagsOf = ({ queueFlags, settings }: Ends): string[] => [...queueFlags, '--lap', `${settings.lap}ms`];

const pruneFlags = (ends: Ends): string[] => ['prune', '--older-than', '1h', ...flagsOf(ends)];

const idsOf = (ends: Ends): Promise<string[]> =>
  withStore(ends, (db) => db.all<{ id: string }>('SELECT id FROM runs').map(({ id }) => id));

describe.for(queues)('on %s', ([, queue]) => {
  test('a key that was pruned is a new run when it is submitted again, and its todo stays as it was', async () => {
    const ends = await openSite(queue);
    const worker = await startWorker(ends);
    const submit = (title: string) =>
      holdfast(['submit', title, '--key', 'weekly', '--wait', ...flagsOf(ends)]);
    expect((await submit('Buy milk')).code).toBe(0);
    expect((await submit('Buy bread')).code).toBe(5);
    await age(ends);
    expect((await holdfast(pruneFlags(ends))).stdout).toBe('1 run pruned\n');
    expect((await submit('Buy bread')).code).toBe(0);
    await leave(worker);
    expect(await withStore(ends, (db) => db.all('SELECT title FROM todos'))).toEqual([{ title: 'Buy milk' }]);
    expect(ends.audits().map(({ key }) => key)).toEqual(['weekly/sendAudit', 'weekly/sendAudit']);
  });

  test('a worker that keeps runs for an hour prunes older ones while it takes new ones', async () => {
    const ends = await openSite(queue);
    const first = await startWorker(ends);
    const old = await ends.submit(250);
    await ends.untilFinal(250);
    await leave(first);
    await age(ends);
    const worker = await startWorker(ends, ['--keep', '1h']);
    const young = await ends.submit(50);
    await ends.until('the old ones were pruned', (_, db) => {
      const { count } = db.get<{ count: number }>(
        `SELECT count(*) AS count FROM runs WHERE id IN (SELECT value FROM json_each(:old))`,
        { old: JSON.stringify(old) },
      )!;
      return count === 0;
    });
    await ends.untilFinal(50);
    await leave(worker);
    await emptied(ends);
    expect((await idsOf(ends)).toSorted()).toEqual(young.toSorted());
    expect(await ends.report(young)).toMatchObject({ gaps: [], notDone: [] });
    expect(ends.audits()).toHaveLength(300);
  });
});

/** Of as many runs, with their histories: so many that a pruner is still at work when it is killed. */
const addCopies = (ends: Ends, count: number, suffix: string): Promise<void> =>
  withStore(ends, (db) =>
    db.write(() =>
      db.exec(`
        CREATE TEMP TABLE copied AS SELECT * FROM runs ORDER BY no LIMIT ${count};
        CREATE TEMP TABLE told AS SELECT * FROM transitions WHERE run IN (SELECT no FROM copied);
        CREATE TEMP TABLE shift AS SELECT max(no) AS by FROM runs;
        UPDATE copied SET id = id || '${suffix}', no = no + (SELECT by FROM shift);
        UPDATE told SET run = run + (SELECT by FROM shift);
        UPDATE census SET runs = runs + ${count} WHERE status = 'done';
        INSERT INTO runs SELECT * FROM copied;
        INSERT INTO transitions SELECT * FROM told;
        DROP TABLE copied; DROP TABLE told; DROP TABLE shift;`),
    ),
  );

test('a pruner that is killed leaves each run whole or gone, and the next one goes on', async () => {
  const ends = await openSite('embedded');
  const worker = await startWorker(ends);
  await ends.submit(500);
  await ends.untilFinal(500);
  await leave(worker);
  for (let copy = 1; copy < 10; copy++) await addCopies(ends, 500, `-${copy}`);
  await age(ends);
  await withStore(ends, async (db) => {
    const pruner = spawnHoldfast(pruneFlags(ends));
    const begun = () => db.get('SELECT 1 WHERE (SELECT count(*) FROM runs) < 5000') !== undefined;
    await new Promise<void>((resolve) => {
      const watcher = watchCommits(db, () => {
        if (!begun()) return;
        watcher.close();
        resolve();
      });
    });
    pruner.kill('SIGKILL');
    expect(await pruner.exited).toEqual({ code: null, signal: 'SIGKILL' });
  });
  const left = await idsOf(ends);
  expect(left.length).toBeGreaterThan(0);
  expect(left.length % 100).toBe(0);
  expect((await ends.report(left)).gaps).toEqual([]);
  const orphans = 'SELECT count(*) AS count FROM transitions WHERE run NOT IN (SELECT no FROM runs)';
  expect(await withStore(ends, (db) => db.all(orphans))).toEqual([{ count: 0 }]);
  expect((await holdfast(pruneFlags(ends))).stdout).toBe(`${left.length} runs pruned\n`);
  expect(await withStore(ends, (db) => db.all('SELECT count(*) AS count FROM transitions'))).toEqual([
    { count: 0 },
  ]);
});
