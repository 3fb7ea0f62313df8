import type { Run, Transition } from '../../engine/run.ts';
import { isFinal } from '../../engine/run.ts';
import type { Database } from '../../sqlite/database.ts';
import type { Change, Outcome } from '../store.ts';
import { identity, progress } from './rows.ts';

const insertRun = `
  INSERT INTO runs (id, machine, version, seq, status, state, snapshot, timers, attempts, due_at, input,
    fingerprint, reason, failed_in, owner, created_at, updated_at)
  VALUES (:id, :machine, :version, :seq, :status, :state, :snapshot, :timers, :attempts, :dueAt, :input,
    :fingerprint, :reason, :failedIn, :owner, :createdAt, :updatedAt)
  ON CONFLICT (id) DO NOTHING`;

const progressColumns = `
  seq = :seq, status = :status, state = :state, snapshot = :snapshot, timers = :timers, attempts = :attempts,
  due_at = :dueAt, reason = :reason, failed_in = :failedIn, updated_at = :updatedAt, resumes = 0`;

/** Stops a worker that comes back late: the run is neither where it left it nor its own. */
const updateOwn = `
  UPDATE runs SET ${progressColumns}, owner = :owner WHERE id = :id AND seq = :expected AND owner = :worker`;

const updateAny = `
  UPDATE runs SET ${progressColumns}, evicted_from = coalesce(owner, evicted_from), owner = NULL WHERE id = :id AND seq = :expected`;

const insertTransition = `
  INSERT INTO transitions (run, seq, at, event, from_state, to_state, duration, attempt, error, receipt)
  VALUES (:run, :seq, :at, :event, :from, :to, :duration, :attempt, :error, :receipt)`;

/** After a conflict nobody must hold the run by name who does not hold it in hand. */
const disown = 'UPDATE runs SET owner = NULL WHERE id = :id AND owner = :worker';

/** Inside a transaction. A worker's step of a run that it holds. */
export const commitOwn = (db: Database, worker: string, change: Change): Outcome => {
  const outcome = commitHeld(db, worker, change);
  if (outcome.type === 'conflict') db.run(disown, { id: change.run.id, worker });
  return outcome;
};

const commitHeld = (db: Database, worker: string, change: Change): Outcome =>
  commitChange(db, change, ({ run, expected }) => {
    const owner = isFinal(run) ? null : worker;
    return expected === null
      ? db.run(insertRun, { ...progress(run), ...identity(run), owner })
      : db.run(updateOwn, { ...progress(run), expected, worker, owner });
  });

/** Inside a transaction. A person's step: whoever holds the run is evicted. */
export const commitAny = (db: Database, change: Change): Outcome =>
  commitChange(db, change, ({ run, expected }) => db.run(updateAny, { ...progress(run), expected }));

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
    db.run(insertTransition, transitionParams(change.run, transition));
  for (const { sql, params } of change.writes) db.run(sql, params);
  return { type: 'committed' };
};

const transitionParams = ({ id }: Run, { receipt, ...transition }: Transition) => ({
  ...transition,
  run: id,
  receipt: receipt && JSON.stringify(receipt),
});
