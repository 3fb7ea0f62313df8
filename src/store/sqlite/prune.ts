import type { Database } from '../../sqlite/database.ts';
import type { Retired } from '../store.ts';
import type { Moves, Place } from './census.ts';

/** `<> 'active'` goes without saying, but not without the index. The census has the places: few, and all of them. */
const retired = `
  FROM census CROSS JOIN runs INDEXED BY runs_final USING (status, machine, version, state)
  WHERE status IN (SELECT value FROM json_each(:statuses)) AND runs.status <> 'active' AND updated_at < :before`;

const params = ({ before, statuses }: Retired) => ({ before, statuses: JSON.stringify(statuses) });

/** Inside a transaction, or to see whether one is worth it. */
export const retiredRuns = (db: Database, which: Retired, limit: number): (Place & { no: number })[] =>
  db.all(`SELECT no, machine, version, status, state ${retired} LIMIT (SELECT :limit)`, {
    ...params(which),
    limit,
  });

export const countRetired = (db: Database, which: Retired): number =>
  db.get<{ count: number }>(`SELECT count(*) AS count ${retired}`, params(which))!.count;

/** Inside a transaction. */
export const forgetRuns = (db: Database, runs: readonly (Place & { no: number })[], moves: Moves): void => {
  const numbers = JSON.stringify(runs.map(({ no }) => no));
  db.run('DELETE FROM transitions WHERE run IN (SELECT value FROM json_each(:numbers))', { numbers });
  db.run('DELETE FROM runs WHERE no IN (SELECT value FROM json_each(:numbers))', { numbers });
  for (const run of runs) moves.add(run, undefined);
};
