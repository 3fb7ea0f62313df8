import type { Transition, Write } from '../../engine/run.ts';
import { isFinal } from '../../engine/run.ts';
import type { Database } from '../../sqlite/database.ts';
import type { Change, Outcome } from '../store.ts';
import type { Moves, Place } from './census.ts';
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
const isOwn = 'id = ? AND seq = ? AND owner = ?';

// What is set is written into its index again, changed or not.
const updateOwn = `${setProgress} WHERE ${isOwn}`;
const releaseOwn = `${setProgress}, owner = NULL WHERE ${isOwn}`;

const updateAny = `${setProgress}, evicted_from = coalesce(owner, evicted_from), owner = NULL WHERE id = ? AND seq = ?`;

const insertTransition = `
  INSERT INTO transitions (run, seq, at, event, to_state, duration, attempt, error, receipt)`;

/** A table without rowid does not count: the last is the run, however many transitions follow it. */
const insertFirst = `${insertTransition} VALUES (last_insert_rowid(), ?, ?, ?, ?, ?, ?, ?, ?)`;
const insertNext = `${insertTransition} SELECT no, ?, ?, ?, ?, ?, ?, ?, ? FROM runs WHERE id = ?`;

/** After a conflict nobody must hold the run by name who does not hold it in hand. */
const disown = 'UPDATE runs SET owner = NULL WHERE id = :id AND owner = :worker';

/** Inside a transaction. A worker's step of a run that it holds. */
export const commitOwn = (db: Database, worker: string, change: Change, moves: Moves): Outcome => {
  const outcome = commitChange(db, change, change.expected === null ? begin(worker) : proceed(worker));
  if (outcome.type === 'committed') moves.add(placeBefore(change), change.run);
  if (outcome.type === 'conflict') db.run(disown, { id: change.run.id, worker });
  return outcome;
};

/** Inside a transaction. A person's step: whoever holds the run is evicted. */
export const commitAny = (db: Database, change: Change, moves: Moves): Outcome => {
  const before = db.get<Place>('SELECT machine, version, status, state FROM runs WHERE id = :id', {
    id: change.run.id,
  });
  const outcome = commitChange(db, change, amend);
  if (outcome.type === 'committed') moves.add(before, change.run);
  return outcome;
};

/** Writes the record and its history; false when the run is not where it was expected. */
type WriteRun = (db: Database, change: Change) => boolean;

const begin =
  (worker: string): WriteRun =>
  (db, { run, release, transitions }) => {
    const owner = isFinal(run) || release ? null : worker;
    if (db.run(insertRun, ...progress(run), owner, ...identity(run)) === 0) return false;
    for (const transition of transitions) db.run(insertFirst, ...historyColumns(transition));
    return true;
  };

const proceed =
  (worker: string): WriteRun =>
  (db, { run, expected, release, transitions }) => {
    const update = isFinal(run) || release ? releaseOwn : updateOwn;
    if (db.run(update, ...progress(run), run.id, expected, worker) === 0) return false;
    addHistory(db, run.id, transitions);
    return true;
  };

const amend: WriteRun = (db, { run, expected, transitions }) => {
  if (db.run(updateAny, ...progress(run), run.id, expected) === 0) return false;
  addHistory(db, run.id, transitions);
  return true;
};

const addHistory = (db: Database, id: string, transitions: readonly Transition[]): void => {
  for (const transition of transitions) db.run(insertNext, ...historyColumns(transition), id);
};

/** A worker steps what is unfinished. */
const placeBefore = ({ run, expected, transitions }: Change): Place | undefined =>
  expected === null
    ? undefined
    : { machine: run.machine, version: run.version, status: 'active', state: transitions[0]!.from! };

/** `Array.isArray` does not know read-only ones. */
const isList = (params: Write['params']): params is Extract<Write['params'], readonly unknown[]> =>
  Array.isArray(params);

/** The record, its history and its own writes: all of them, or none. */
const commitChange = (db: Database, change: Change, writeRun: WriteRun): Outcome =>
  db.attempt<Outcome>(
    () => {
      if (!writeRun(db, change)) return { type: 'conflict' };
      for (const { sql, params } of change.writes) db.run(sql, ...(isList(params) ? params : [params]));
      return { type: 'committed' };
    },
    // A statement that is refused concerns this run only.
    (error) => ({ type: 'rejected', error: String(error) }),
  );
