import { isFinal } from '../../engine/run.ts';
import type { Database } from '../../sqlite/database.ts';
import type { Change, Outcome } from '../store.ts';
import { historyColumns, identity, progress } from './rows.ts';

// Positions, not names, on the way that every todo takes: binding by name costs as much again as the statement.
const insertRun = `
  INSERT INTO runs (seq, status, state, snapshot, timers, attempts, due_at, reason, failed_in, updated_at,
    owner, id, machine, version, input, fingerprint, created_at)
  VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
  ON CONFLICT (id) DO NOTHING`;

const setProgress = `
  UPDATE runs SET seq = ?, status = ?, state = ?, snapshot = ?, timers = ?, attempts = ?, due_at = ?, reason = ?,
    failed_in = ?, updated_at = ?, resumes = 0`;

/** Stops a worker that comes back late: the run is neither where it left it nor its own. */
const updateOwn = `${setProgress}, owner = ? WHERE id = ? AND seq = ? AND owner = ?`;

const updateAny = `${setProgress}, evicted_from = coalesce(owner, evicted_from), owner = NULL WHERE id = ? AND seq = ?`;

const insertTransition = `
  INSERT INTO transitions (run, seq, at, event, from_state, to_state, duration, attempt, error, receipt)
  VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`;

/** After a conflict nobody must hold the run by name who does not hold it in hand. */
const disown = 'UPDATE runs SET owner = NULL WHERE id = :id AND owner = :worker';

/** Inside a transaction. A worker's step of a run that it holds. */
export const commitOwn = (db: Database, worker: string, change: Change): Outcome => {
  const outcome = commitHeld(db, worker, change);
  if (outcome.type === 'conflict') db.run(disown, { id: change.run.id, worker });
  return outcome;
};

const commitHeld = (db: Database, worker: string, change: Change): Outcome =>
  commitChange(db, change, ({ run, expected, release }) => {
    const owner = isFinal(run) || release ? null : worker;
    return expected === null
      ? db.run(insertRun, ...progress(run), owner, ...identity(run))
      : db.run(updateOwn, ...progress(run), owner, run.id, expected, worker);
  });

/** Inside a transaction. A person's step: whoever holds the run is evicted. */
export const commitAny = (db: Database, change: Change): Outcome =>
  commitChange(db, change, ({ run, expected }) => db.run(updateAny, ...progress(run), run.id, expected));

/** The record, its history and its own writes: all of them, or none. */
const commitChange = (db: Database, change: Change, writeRun: (change: Change) => number): Outcome =>
  db.attempt<Outcome>(
    () => keep(db, change, writeRun),
    // A statement that is refused concerns this run only.
    (error) => ({ type: 'rejected', error: String(error) }),
  );

const keep = (db: Database, change: Change, writeRun: (change: Change) => number): Outcome => {
  if (writeRun(change) === 0) return { type: 'conflict' };
  for (const transition of change.transitions)
    db.run(insertTransition, ...historyColumns(change.run.id, transition));
  for (const { sql, params } of change.writes) db.run(sql, params);
  return { type: 'committed' };
};
