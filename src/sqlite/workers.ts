/**
 * Which workers live. A worker holds runs and messages by its row in `workers`, which is also its lease: one
 * row to renew, however much it holds. Deleting the row lets go of everything (foreign keys set to NULL).
 */
import type { Database } from './database.ts';
import { thisHost } from './host.ts';
import type { Host } from './host.ts';

/** How long a lease lasts by default without being renewed, in ms. Matters only for a worker that hangs or sits on another host. */
export const leaseMs = 15_000;

/** Takes a lease for this process. Like all that writes here, only inside `db.write`. */
export const joinWorkers = (db: Database, id: string, expiresAt: number, host: Host = thisHost): void => {
  const { pid } = host;
  db.run(
    `INSERT INTO workers (id, host, pid, born, expires_at) VALUES (:id, :host, :pid, :born, :expiresAt)
     ON CONFLICT (id) DO UPDATE SET expires_at = :expiresAt`,
    { id, host: host.name(), pid, born: host.bornOf(pid) ?? '', expiresAt },
  );
};

/** False when another worker took this one for dead: it holds nothing any more. */
export const renewLease = (db: Database, id: string, expiresAt: number): boolean =>
  db.run('UPDATE workers SET expires_at = :expiresAt WHERE id = :id', { id, expiresAt }) === 1;

/**
 * No lease ends later than `latest`, which is a lease's length from now: one that does was taken before the clock was
 * set back. The worker that took it, if it lives, renews it.
 */
export const shortenLeases = (db: Database, latest: number): void => {
  db.run('UPDATE workers SET expires_at = :latest WHERE expires_at > :latest', { latest });
};

export const holdsLease = (db: Database, id: string): boolean =>
  db.get('SELECT 1 FROM workers WHERE id = :id', { id }) !== undefined;

export const removeWorker = (db: Database, id: string): void => {
  db.run('DELETE FROM workers WHERE id = :id', { id });
};

/** How many runs are let go of in one transaction. To let go of a hundred thousand takes seconds. */
const buryAtOnce = 2000;

/**
 * Lets go of what a dead worker held: all of its messages, and its runs a page at a time. While it has more, it stays
 * among the dead, and the next call goes on.
 */
export const buryWorker = (db: Database, id: string): void => {
  db.run('UPDATE messages SET holder = NULL WHERE holder = :id', { id });
  const page = `SELECT rowid FROM runs WHERE owner = :id LIMIT ${buryAtOnce}`;
  const runs = db.run(`UPDATE runs SET owner = NULL WHERE rowid IN (${page})`, { id });
  if (runs < buryAtOnce) removeWorker(db, id);
};

/** The workers that are known to be dead: their process is gone from this host, or their lease ran out. */
export const deadWorkers = (db: Database, now: number, host: Host = thisHost): string[] =>
  db
    .all<WorkerRow>('SELECT id, host, pid, born, expires_at FROM workers')
    .filter((row) => row.expires_at <= now || isGone(row, host))
    .map(({ id }) => id);

type WorkerRow = { id: string; host: string; pid: number; born: string; expires_at: number };

/** A process that nothing is known of is judged by its lease alone. */
const isGone = ({ host: name, pid, born }: WorkerRow, host: Host): boolean => {
  if (name !== host.name() || born === '') return false;
  const seen = host.bornOf(pid);
  return seen !== '' && seen !== born;
};
