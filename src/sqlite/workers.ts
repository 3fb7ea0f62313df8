/**
 * Which workers live. A worker holds runs and messages by its row in `workers`, which is also its lease: one
 * row to renew, however much it holds. Deleting the row lets go of everything (foreign keys set to NULL).
 */
import { execFileSync } from 'node:child_process';
import { readFileSync, readlinkSync } from 'node:fs';
import { hostname } from 'node:os';
import type { Database } from './database.ts';

/** How long a lease lasts by default without being renewed, in ms. Matters only for a worker that hangs or sits on another host. */
export const leaseMs = 15_000;

/** Takes a lease for this process. Like all that writes here, only inside `db.write`. */
export const joinWorkers = (db: Database, id: string, expiresAt: number): void => {
  db.run(
    `INSERT INTO workers (id, host, pid, born, expires_at) VALUES (:id, :host, :pid, :born, :expiresAt)
     ON CONFLICT (id) DO UPDATE SET expires_at = :expiresAt`,
    { id, host: here(), pid: process.pid, born: bornOf(process.pid) ?? '', expiresAt },
  );
};

/** False when another worker took this one for dead: it holds nothing any more. */
export const renewLease = (db: Database, id: string, expiresAt: number): boolean =>
  db.run('UPDATE workers SET expires_at = :expiresAt WHERE id = :id', { id, expiresAt }) === 1;

export const holdsLease = (db: Database, id: string): boolean =>
  db.get('SELECT 1 FROM workers WHERE id = :id', { id }) !== undefined;

export const removeWorker = (db: Database, id: string): void => {
  db.run('DELETE FROM workers WHERE id = :id', { id });
};

/** The workers that are known to be dead: their process is gone from this host, or their lease ran out. */
export const deadWorkers = (db: Database, now: number): string[] =>
  db
    .all<WorkerRow>('SELECT id, host, pid, born, expires_at FROM workers')
    .filter((row) => row.expires_at <= now || isGone(row))
    .map(({ id }) => id);

type WorkerRow = { id: string; host: string; pid: number; born: string; expires_at: number };

/** A process that nothing is known of is judged by its lease alone. */
const isGone = ({ host, pid, born }: WorkerRow): boolean =>
  host === here() && born !== '' && bornOf(pid) !== born;

/** Where a pid means something: containers may share a host's name, but not its processes. */
const here = (): string => `${hostname()} ${pidNamespace()}`;

const pidNamespace = (): string => {
  try {
    return readlinkSync('/proc/self/ns/pid');
  } catch {
    return ''; // not Linux
  }
};

/** What tells a process from a later one with the same pid; nothing when there is no such process. */
const bornOf = (pid: number): string | undefined => {
  if (process.platform !== 'linux') return bornByPs(pid);
  try {
    // proc(5): the name in parentheses may hold anything; field 3 is the state, field 22 the start time in ticks.
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /s, '')
      .split(' ');
    return fields[0] === 'Z' ? undefined : `${bootId()} ${fields[19]}`;
  } catch {
    return undefined;
  }
};

let knownBootId: string | undefined;
const bootId = (): string => (knownBootId ??= readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim());

const bornByPs = (pid: number): string | undefined => {
  try {
    return (
      execFileSync('ps', ['-o', 'lstart=', '-p', String(pid)], {
        encoding: 'utf8',
        env: { LC_ALL: 'C' },
      }).trim() || undefined
    );
  } catch {
    return undefined;
  }
};
