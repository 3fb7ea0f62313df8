/** Unfinished runs that nobody holds, and that a worker may take up. */
import type { Database } from '../../sqlite/database.ts';
import { longWait, suspectAfter } from '../store.ts';
import { runColumns } from './rows.ts';
import type { RunRow } from './rows.ts';

/** A suspect has been resumed so often that it may be what takes its workers down. */
type Which = 'any' | 'fresh' | 'suspect';

/**
 * They wait for nothing, or not for long, or since before the clock was set back. What waits for long is not even read:
 * there may be a million of those.
 */
const soon = [
  { index: 'runs_unowned', isSoon: 'due_at IS NULL' },
  { index: 'runs_unowned', isSoon: 'due_at <= :soon' },
  { index: 'runs_unowned_since', isSoon: 'updated_at > :now AND due_at > :soon' },
];

/** A bare parameter as a limit would have SQLite compile the statement anew whenever it is bound. */
const unowned = (condition: string): string[] =>
  soon.map(
    ({ index, isSoon }) => `
      SELECT ${runColumns} FROM runs INDEXED BY ${index}
      WHERE status = 'active' AND owner IS NULL AND ${isSoon} AND ${condition}
        AND machine || '@' || version IN (SELECT value FROM json_each(:refs)) LIMIT (SELECT :limit)`,
  );

const queries: Readonly<Record<Which, readonly string[]>> = {
  any: unowned('true'),
  fresh: unowned('resumes < :suspectAfter'),
  suspect: unowned('resumes >= :suspectAfter'),
};

/** Without a look at its machine, which is most of the cost where there is none. */
const anyUnowned = `SELECT 1 FROM runs INDEXED BY runs_unowned WHERE status = 'active' AND owner IS NULL LIMIT 1`;

/** Asked often, and hardly ever is there one. `now` is what the clock says, in ms since the epoch. */
export const hasUnowned = (db: Database, refs: readonly string[], now: number): boolean =>
  db.get(anyUnowned) !== undefined && unownedRuns(db, 'any', refs, now, 1).length > 0;

export const unownedRuns = (
  db: Database,
  which: Which,
  refs: readonly string[],
  now: number,
  limit: number,
): RunRow[] => {
  const params = { refs: JSON.stringify(refs), suspectAfter, now, soon: now + longWait };
  const rows: RunRow[] = [];
  for (const sql of queries[which])
    if (rows.length < limit) rows.push(...db.all<RunRow>(sql, { ...params, limit: limit - rows.length }));
  return rows;
};
