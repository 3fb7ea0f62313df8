import type { Run } from '../../engine/run.ts';
import type { Database } from '../../sqlite/database.ts';
import type { CensusRow } from '../store.ts';

/** Where a run is. */
export type Place = Pick<Run, 'machine' | 'version' | 'status' | 'state'>;

const addRuns = `
  INSERT INTO census (machine, version, status, state, runs) VALUES (?, ?, ?, ?, ?)
  ON CONFLICT DO UPDATE SET runs = runs + excluded.runs`;

/** What one transaction changes in the census: a few rows, however many runs it moves. */
export class Moves {
  readonly #changes = new Map<string, { place: Place; runs: number }>();

  /** `from` is nothing for a new run, `to` for one that is forgotten. */
  add(from: Place | undefined, to: Place | undefined): void {
    if (from) this.#count(from, -1);
    if (to) this.#count(to, 1);
  }

  /** Inside the transaction, once, when every move has been made. */
  write(db: Database): void {
    for (const { place, runs } of this.#changes.values())
      if (runs !== 0) db.run(addRuns, place.machine, place.version, place.status, place.state, runs);
  }

  #count(place: Place, runs: number): void {
    const key = `${place.machine}\0${place.version}\0${place.status}\0${place.state}`;
    const known = this.#changes.get(key);
    if (known) known.runs += runs;
    else this.#changes.set(key, { place, runs });
  }
}

/** Unfinished runs, of which there are few: whoever holds them, and whoever may. */
export const activeRuns = (columns: string): string => `
  SELECT ${columns} FROM runs INDEXED BY runs_owned WHERE owner IS NOT NULL
  UNION ALL
  SELECT ${columns} FROM runs INDEXED BY runs_unowned WHERE status = 'active' AND owner IS NULL`;

/** The counters, and what two indexes say of how long the oldest is there. */
export const readCensus = (db: Database): CensusRow[] =>
  db.all<CensusRow>(
    `WITH oldest AS (
       SELECT machine, version, state, min(updated_at) AS at FROM (${activeRuns('machine, version, state, updated_at')})
       GROUP BY machine, version, state
     )
     SELECT machine, version, status, state, runs AS count,
       CASE status
         WHEN 'active' THEN oldest.at
         ELSE (SELECT min(updated_at) FROM runs INDEXED BY runs_final
               WHERE runs.status <> 'active' AND runs.status = census.status AND runs.machine = census.machine
                 AND runs.version = census.version AND runs.state = census.state)
       END AS oldest
     FROM census LEFT JOIN oldest USING (machine, version, state)
     WHERE runs > 0`,
  );

/** Counts every run, which takes the longer the more there are. */
export const isCensusRight = (db: Database): boolean =>
  db.get(
    `SELECT 1 FROM (
       SELECT machine, version, status, state, runs FROM census
       UNION ALL
       SELECT machine, version, status, state, -1 FROM (
         ${activeRuns('machine, version, status, state')}
         UNION ALL
         SELECT machine, version, status, state FROM runs INDEXED BY runs_final WHERE status <> 'active'
       )
     ) GROUP BY machine, version, status, state HAVING sum(runs) <> 0 LIMIT 1`,
  ) === undefined;
