import type { Run, Transition } from '../../engine/run.ts';
import { isFinal, refOf } from '../../engine/run.ts';
import type { Database } from '../../sqlite/database.ts';
import { thisHost } from '../../sqlite/host.ts';
import type { Host } from '../../sqlite/host.ts';
import { watchCommits } from '../../sqlite/watch.ts';
import { DatabaseError } from '../../sqlite/errors.ts';
import {
  buryWorker,
  deadWorkers,
  holdsLease,
  joinWorkers,
  leaseMs,
  removeWorker,
  renewLease,
  shortenLeases,
} from '../../sqlite/workers.ts';
import type {
  CensusRow,
  Change,
  Claim,
  KnownMachine,
  ListFilter,
  Outage,
  Outcome,
  Resumed,
  Retired,
  Store,
} from '../store.ts';
import { suspectAfter, waitsLong } from '../store.ts';
import { Moves, readCensus } from './census.ts';
import { commitAny, commitOwn } from './commit.ts';
import { listRuns } from './list.ts';
import { changedWhileRunning, rememberMachine } from './machines.ts';
import { readOutages, writeOutages } from './outages.ts';
import { countRetired, forgetRuns, retiredRuns } from './prune.ts';
import { runColumns, toRun, toTransition } from './rows.ts';
import type { RunRow, TransitionRow } from './rows.ts';
import { hasUnowned, unownedRuns } from './unowned.ts';

type Asked = { readonly id: string; readonly redelivered: boolean };

/** A store in a SQLite file; its workers live on the same host. */
export class SqliteStore implements Store {
  readonly #db: Database;
  readonly #now: () => number;
  readonly #lease: number;
  readonly #host: Host;

  /** `lease`: how long, in ms, a worker that hangs keeps what it holds. */
  constructor(db: Database, now: () => number = Date.now, lease = leaseMs, host: Host = thisHost) {
    this.#db = db;
    this.#now = now;
    this.#lease = lease;
    this.#host = host;
  }

  prepare(machines: readonly KnownMachine[]): Promise<string[]> {
    return this.#db.write(() => {
      for (const sql of machines.flatMap(({ tables }) => tables)) this.#db.exec(sql);
      const changed = machines.filter((machine) => changedWhileRunning(this.#db, machine));
      for (const machine of machines) if (!changed.includes(machine)) rememberMachine(this.#db, machine);
      return changed.map(({ ref }) => ref);
    });
  }

  join(worker: string): Promise<void> {
    return this.#db.write(() => joinWorkers(this.#db, worker, this.#now() + this.#lease, this.#host));
  }

  renew(worker: string): Promise<{ held: boolean; evicted: string[] }> {
    return this.#db.write(() => {
      const now = this.#now();
      const held = renewLease(this.#db, worker, now + this.#lease);
      shortenLeases(this.#db, now + this.#lease);
      for (const dead of deadWorkers(this.#db, now, this.#host)) this.#bury(dead);
      return { held, evicted: this.#takeEvicted(worker) };
    });
  }

  leave(worker: string): Promise<void> {
    return this.#db.write(() => {
      this.#db.run('UPDATE runs SET resumes = 0 WHERE owner = :worker', { worker });
      removeWorker(this.#db, worker);
    });
  }

  async resume(worker: string, refs: readonly string[], limit: number): Promise<Resumed[]> {
    if (!hasUnowned(this.#db, refs, this.#now())) return []; // no transaction for that
    return this.#db.write(() => {
      const fresh = unownedRuns(this.#db, 'fresh', refs, this.#now(), limit);
      const rows = fresh.length > 0 ? fresh : this.#oneSuspect(worker, refs);
      return rows.map((row) => ({ run: toRun(row), resumes: this.#own(worker, row) }));
    });
  }

  async claim(worker: string, refs: readonly string[], wanted: readonly Asked[]): Promise<Claim[]> {
    const rows = this.#rows(wanted.map(({ id }) => id));
    const refusals = wanted
      .map((asked) => this.#refusal(worker, refs, asked, rows.get(asked.id)))
      .filter((claim) => claim !== undefined);
    // New runs, finished ones and those that wait, nearly all of them, need no transaction.
    if (refusals.length === wanted.length) return refusals;
    return this.#db.write(() => {
      this.#mustHoldLease(worker);
      return wanted.map((asked) => this.#claimOne(worker, refs, asked));
    });
  }

  commit(worker: string, changes: readonly Change[]): Promise<Outcome[]> {
    const creates = changes.some(({ expected }) => expected === null);
    return this.#db.write(() => {
      if (creates) this.#mustHoldLease(worker);
      return this.#moving((moves) => changes.map((change) => commitOwn(this.#db, worker, change, moves)));
    });
  }

  spare(worker: string, runs: readonly string[]): Promise<void> {
    return this.#db.write(() => {
      this.#db.run(
        'UPDATE runs SET resumes = 0 WHERE id IN (SELECT value FROM json_each(:runs)) AND owner = :worker',
        { worker, runs: JSON.stringify(runs) },
      );
    });
  }

  noteOutages(worker: string, outages: readonly Outage[]): Promise<void> {
    return this.#db.write(() => writeOutages(this.#db, worker, outages));
  }

  async prune(retired: Retired, limit: number): Promise<number> {
    if (retiredRuns(this.#db, retired, 1).length === 0) return 0;
    return this.#db.write(() => {
      const runs = retiredRuns(this.#db, retired, limit);
      this.#moving((moves) => forgetRuns(this.#db, runs, moves));
      return runs.length;
    });
  }

  amend(change: Change & { expected: number }): Promise<Outcome> {
    return this.#db.write(() => this.#moving((moves) => commitAny(this.#db, change, moves)));
  }

  watch(onChange: () => void): { close(): void } {
    return watchCommits(this.#db, onChange);
  }

  async get(id: string): Promise<Run | undefined> {
    const row = this.#row(id);
    return row && toRun(row);
  }

  async find(prefix: string, limit: number): Promise<string[]> {
    const range = { from: prefix, to: `${prefix}\u{10FFFF}`, limit };
    return this.#db
      .all<{ id: string }>(
        'SELECT id FROM runs WHERE id >= :from AND id < :to ORDER BY id LIMIT (SELECT :limit)',
        range,
      )
      .map(({ id }) => id);
  }

  async list(filter: ListFilter): Promise<Run[]> {
    return listRuns(this.#db, filter);
  }

  async census(): Promise<CensusRow[]> {
    return readCensus(this.#db);
  }

  async history(id: string): Promise<Transition[]> {
    return this.#db
      .all<TransitionRow>('SELECT * FROM history WHERE run = :id ORDER BY seq', { id })
      .map(toTransition);
  }

  async prunable(retired: Retired): Promise<number> {
    return countRetired(this.#db, retired);
  }

  async outages(): Promise<Outage[]> {
    return readOutages(this.#db, deadWorkers(this.#db, this.#now(), this.#host));
  }

  async stranded(refs: readonly string[]): Promise<{ ref: string; count: number }[]> {
    return this.#db.all(
      `SELECT machine || '@' || version AS ref, sum(runs) AS count FROM census
       WHERE status = 'active' AND runs > 0 AND machine || '@' || version NOT IN (SELECT value FROM json_each(:refs))
       GROUP BY ref`,
      { refs: JSON.stringify(refs) },
    );
  }

  #moving<T>(work: (moves: Moves) => T): T {
    const moves = new Moves();
    const result = work(moves);
    moves.write(this.#db);
    return result;
  }

  /** Its runs and its messages are free, and the queue of this very process may have room for them. */
  #bury(worker: string): void {
    buryWorker(this.#db, worker);
    this.#db.announce();
  }

  /** A worker that was taken for dead can own nothing until it knows, and has joined again. */
  #mustHoldLease(worker: string): void {
    if (!holdsLease(this.#db, worker)) throw new DatabaseError('unavailable', 'the lease ran out');
  }

  #row(id: string): RunRow | undefined {
    return this.#db.get<RunRow>(`SELECT ${runColumns} FROM runs WHERE id = :id`, { id });
  }

  #rows(ids: readonly string[]): Map<string, RunRow> {
    const rows = this.#db.all<RunRow>(
      `SELECT ${runColumns} FROM runs WHERE id IN (SELECT value FROM json_each(:ids))`,
      { ids: JSON.stringify(ids) },
    );
    return new Map(rows.map((row) => [row.id, row]));
  }

  /** Why a run cannot be claimed, or nothing. */
  #refusal(
    worker: string,
    refs: readonly string[],
    { redelivered }: Asked,
    row: RunRow | undefined,
  ): Claim | undefined {
    if (!row || isFinal(row)) return settledClaim(row);
    if (row.owner === worker) return undefined;
    const run = toRun(row);
    const isTaken = row.owner !== null ? !redelivered : waitsLong(run, this.#now());
    const isKnown = refs.includes(refOf(run));
    if (!isTaken && isKnown && row.resumes < suspectAfter) return undefined;
    return { type: 'busy', fingerprint: row.fingerprint, input: row.input };
  }

  #claimOne(worker: string, refs: readonly string[], asked: Asked): Claim {
    const row = this.#row(asked.id);
    const refusal = this.#refusal(worker, refs, asked, row);
    if (refusal) return refusal;
    // Just resumed here, or its turn failed and is taken again.
    const resumes = row!.owner === worker ? row!.resumes : this.#own(worker, row!);
    return { type: 'claimed', run: toRun(row!), resumes };
  }

  /** Returns how often the run was resumed since it last came further. One that only waits is no suspect. */
  #own(worker: string, row: RunRow): number {
    const waits = row.due_at !== null && row.due_at > this.#now();
    const resumes = waits ? row.resumes : row.resumes + 1;
    this.#db.run('UPDATE runs SET owner = :worker, resumes = :resumes WHERE id = :id', {
      id: row.id,
      worker,
      resumes,
    });
    return resumes;
  }

  /** Only while no other suspect runs: whoever dies next is the one. */
  #oneSuspect(worker: string, refs: readonly string[]): RunRow[] {
    const held = this.#db.get(
      'SELECT 1 FROM runs WHERE owner = :worker AND resumes > :suspectAfter LIMIT 1',
      { worker, suspectAfter },
    );
    return held ? [] : unownedRuns(this.#db, 'suspect', refs, this.#now(), 1);
  }

  #takeEvicted(worker: string): string[] {
    const rows = this.#db.all<{ id: string }>('SELECT id FROM runs WHERE evicted_from = :worker', { worker });
    // One that this worker has resumed since is let go of as well, and resumed once more.
    const forget = `UPDATE runs SET evicted_from = NULL, owner = nullif(owner, :worker) WHERE evicted_from = :worker`;
    if (rows.length > 0) this.#db.run(forget, { worker });
    return rows.map(({ id }) => id);
  }
}

const settledClaim = (row: RunRow | undefined): Claim =>
  row ? { type: 'final', run: toRun(row) } : { type: 'unknown' };
