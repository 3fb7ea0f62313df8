import type { Run } from '../../engine/run.ts';
import type { Database } from '../../sqlite/database.ts';
import type { ListFilter } from '../store.ts';
import { activeRuns } from './census.ts';
import type { Place } from './census.ts';
import { runColumns, toRun } from './rows.ts';
import type { RunRow } from './rows.ts';

type Found = { no: number; at: number };

/**
 * The census says where there are runs that the filter wants, and an index has those of each place in order: nothing
 * is read that is not shown, but of unfinished runs.
 */
export const listRuns = (db: Database, filter: ListFilter): Run[] => {
  const places = placesOf(db, filter);
  const found = places
    .filter((place) => !isActive(place))
    .flatMap((place) => lastFinal(db, place, filter.limit));
  if (places.some(isActive)) found.push(...lastActive(db, filter));
  const last = found.toSorted((one, two) => two.at - one.at || two.no - one.no).slice(0, filter.limit);
  return read(db, last);
};

const isActive = ({ status }: Place): boolean => status === 'active';

const placesOf = (db: Database, { state, status, machine }: ListFilter): Place[] =>
  db.all<Place>(
    `SELECT machine, version, status, state FROM census
     WHERE runs > 0 AND state = ifnull(:state, state) AND status = ifnull(:status, status)
       AND machine = ifnull(:machine, machine)`,
    { state: state ?? null, status: status ?? null, machine: machine ?? null },
  );

const lastFinal = (db: Database, place: Place, limit: number): Found[] =>
  db.all<Found>(
    `SELECT no, updated_at AS at FROM runs INDEXED BY runs_final
     WHERE status <> 'active' AND status = :status AND machine = :machine AND version = :version AND state = :state
     ORDER BY updated_at DESC, no DESC LIMIT (SELECT :limit)`,
    { ...place, limit },
  );

const lastActive = (db: Database, { state, machine, limit }: ListFilter): Found[] =>
  db.all<Found>(
    `SELECT no, at FROM (${activeRuns('no, updated_at AS at, state, machine')})
     WHERE state = ifnull(:state, state) AND machine = ifnull(:machine, machine)
     ORDER BY at DESC, no DESC LIMIT (SELECT :limit)`,
    { state: state ?? null, machine: machine ?? null, limit },
  );

const read = (db: Database, found: readonly Found[]): Run[] =>
  db
    .all<RunRow>(
      `SELECT ${runColumns} FROM runs WHERE no IN (SELECT value FROM json_each(:numbers))
       ORDER BY updated_at DESC, no DESC`,
      { numbers: JSON.stringify(found.map(({ no }) => no)) },
    )
    .map(toRun);
