import type { Database } from '../../sqlite/database.ts';
import type { Outage } from '../store.ts';

/** Inside a transaction. They go with the worker's row. */
export const writeOutages = (db: Database, worker: string, outages: readonly Outage[]): void => {
  db.run('DELETE FROM outages WHERE worker = :worker', { worker });
  for (const outage of outages)
    db.run(
      `INSERT INTO outages (worker, machine, call, since, next_probe_at, waiting, error)
       VALUES (:worker, :machine, :call, :since, :nextProbeAt, :waiting, :error)`,
      { worker, ...outage },
    );
};

/** One for each call that is held up, however many workers say so. */
export const readOutages = (db: Database, deadWorkers: readonly string[]): Outage[] =>
  db.all<Outage>(
    `SELECT machine, call, min(since) AS since, min(next_probe_at) AS nextProbeAt, sum(waiting) AS waiting,
       max(error) AS error
     FROM outages WHERE worker NOT IN (SELECT value FROM json_each(:dead))
     GROUP BY machine, call ORDER BY since`,
    { dead: JSON.stringify(deadWorkers) },
  );
