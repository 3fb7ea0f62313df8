import type { Database } from '../../sqlite/database.ts';
import type { Retired } from '../store.ts';

/** `<> 'active'` goes without saying, but not without the index. */
const isRetired = `status IN (SELECT value FROM json_each(:statuses)) AND status <> 'active' AND updated_at < :before`;

const params = ({ before, statuses }: Retired) => ({ before, statuses: JSON.stringify(statuses) });

/** Inside a transaction, or to see whether one is worth it. */
export const retiredIds = (db: Database, retired: Retired, limit: number): string[] =>
  db
    .all<{ id: string }>(`SELECT id FROM runs INDEXED BY runs_final WHERE ${isRetired} LIMIT :limit`, {
      ...params(retired),
      limit,
    })
    .map(({ id }) => id);

/** The file may be of a format that has no such index yet. */
export const countRetired = (db: Database, retired: Retired): number =>
  db.get<{ count: number }>(`SELECT count(*) AS count FROM runs WHERE ${isRetired}`, params(retired))!.count;

/** Inside a transaction. */
export const forgetRuns = (db: Database, runs: readonly string[]): void => {
  const ids = JSON.stringify(runs);
  db.run('DELETE FROM transitions WHERE run IN (SELECT value FROM json_each(:ids))', { ids });
  db.run('DELETE FROM runs WHERE id IN (SELECT value FROM json_each(:ids))', { ids });
};
