import { existsSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import type { Registry } from '../../machines/registry.ts';
import type { Database } from '../../sqlite/database.ts';
import { deadWorkers } from '../../sqlite/workers.ts';
import { isCensusRight } from '../../store/sqlite/census.ts';
import type { Archive, CensusRow, Outage } from '../../store/store.ts';
import { noStoreYet, openExisting } from '../archive.ts';
import { openStore } from '../compose.ts';
import { formatDuration } from '../duration.ts';
import { safe } from '../output/safe.ts';
import { age } from '../output/time.ts';
import type { Settings } from '../settings.ts';
import { checkPrivate } from './files.ts';
import { attempt, fail, ok, warn } from './finding.ts';
import type { Finding } from './finding.ts';

export const checkStore = (settings: Settings, registry: Registry): Promise<Finding[]> =>
  attempt('store', async () => {
    const existing = openExisting(settings);
    const folder = dirname(resolve(settings.store));
    if (!existing && !existsSync(folder))
      return [
        fail('store', `the folder ${folder} does not exist`, 'make it, or name another file with --store'),
      ];
    if (!existing)
      return [
        warn(
          'store',
          noStoreYet(settings).replace(/: .*$/, ''),
          'start a worker, which makes it, or name another one with --store',
        ),
      ];
    existing.db.close();
    // For writing, as a worker opens it: that checks permissions and sets what makes commits durable.
    const { db, store } = openStore(settings);
    try {
      return [
        ...checkFile(db, settings.store),
        checkPrivate('store mode', settings.store),
        checkCensus(db),
        ...(await checkRuns(store, registry, Date.now())),
        ...outagesOf(await store.outages(), Date.now()),
        checkWorkers(db, await store.census(), Date.now()),
      ];
    } finally {
      db.close();
    }
  });

const synchronousFull = 2;

const checkFile = (db: Database, path: string): Finding[] => {
  const health = String(db.pragma('quick_check'));
  const isDurable = db.pragma('synchronous') === synchronousFull;
  return [
    ok('store', `${path} opens for writing, format ${String(db.pragma('user_version'))}`),
    isDurable
      ? ok('durability', 'synchronous=FULL: a commit survives a power cut')
      : fail(
          'durability',
          'synchronous is not FULL: a power cut loses commits',
          'use a file system that lets SQLite sync',
        ),
    health === 'ok'
      ? ok('integrity', 'the file is sound (quick_check)')
      : fail('integrity', `the file is damaged: ${safe(health)}`, 'restore it from a backup'),
  ];
};

/** It is kept, and never counted but here. */
const checkCensus = (db: Database): Finding =>
  isCensusRight(db)
    ? ok('census', 'it says what there is')
    : fail(
        'census',
        'it does not say how many runs there are in each state',
        'restore the store from a backup',
      );

/** What is unfinished, what failed, and what nobody can run. */
const checkRuns = async (
  archive: Pick<Archive, 'census' | 'stranded'>,
  { machines }: Registry,
  now: number,
): Promise<Finding[]> => {
  const rows = await archive.census();
  const stranded = await archive.stranded(machines.map(({ ref }) => ref));
  const active = countOf(rows, 'active');
  const failed = countOf(rows, 'failed');
  return [
    active === 0
      ? ok('runs', 'no run is unfinished')
      : ok(
          'runs',
          `${runs(active)} unfinished, the longest in its state for ${age(oldestOf(rows, 'active'), now)}`,
        ),
    ...(failed === 0
      ? []
      : [
          warn(
            'failed runs',
            `${runs(failed)} failed`,
            'holdfast list --status failed, then holdfast retry ID',
          ),
        ]),
    ...stranded.map(({ ref, count }) =>
      fail(
        'stranded runs',
        `${runs(count)} of ${safe(ref)} unfinished, and no such machine is known here`,
        'start the worker (and doctor) with --machines FILE that exports it',
      ),
    ),
  ];
};

const countOf = (rows: readonly CensusRow[], status: CensusRow['status']): number =>
  rows.filter((row) => row.status === status).reduce((sum, { count }) => sum + count, 0);

const oldestOf = (rows: readonly CensusRow[], status: CensusRow['status']): number =>
  Math.min(...rows.filter((row) => row.status === status).map(({ oldest }) => oldest));

const runs = (count: number): string => (count === 1 ? '1 run' : `${count} runs`);

const outagesOf = (outages: readonly Outage[], now: number): Finding[] =>
  outages.map(({ machine, call, since, nextProbeAt, waiting, error }) =>
    warn(
      'outage',
      `no call of ${safe(machine)}’s ${safe(call)} gets through for ${age(since, now)}, ${runs(waiting)} waiting, ` +
        `next probe ${nextProbeAt > now ? `in ${formatDuration(nextProbeAt - now)}` : 'under way'}: ${safe(error)}`,
      'see that its receiver runs; what waits goes on by itself when it answers',
    ),
  );

const checkWorkers = (db: Database, rows: readonly CensusRow[], now: number): Finding => {
  const known = db.get<{ count: number }>('SELECT count(*) AS count FROM workers')!.count;
  const alive = known - deadWorkers(db, now).length;
  if (alive > 0) return ok('workers', `${alive} at work on this store`);
  const hasWork = countOf(rows, 'active') > 0 || db.get('SELECT 1 FROM messages LIMIT 1') !== undefined;
  return hasWork
    ? warn('workers', 'none at work on this store, and there is work', 'holdfast worker --audit-url URL')
    : ok('workers', 'none at work on this store, and nothing to do');
};
