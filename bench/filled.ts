/** Stores with many finished runs: what a real worker left there, and copies of it under new ids. */
import { randomUUID, randomUUIDv7 } from 'node:crypto';
import Sqlite from 'better-sqlite3';
import type { Database } from 'better-sqlite3';
import { refOf } from '../src/engine/run.ts';
import { checkpoint } from './made.ts';
import { openMachines, unfinished } from './unfinished.ts';

type Value = string | number | null | Buffer;
type Row = Record<string, Value>;

/** The rows of one run in one table. */
type Leaf = { readonly insert: (values: Value[]) => void; readonly columns: string[]; readonly rows: Row[] };
type Pattern = {
  readonly id: string;
  readonly createdAt: number;
  readonly snapshot: string;
  /** How long the snapshot was before the last call was answered. */
  readonly widest: number;
  readonly leaves: Leaf[];
};

/** Every so many runs has a key of the user's, in no order; the others have a UUIDv7, as `submit` gives one. */
const userKeyEvery = 5;

/** A commit for each would take hours, and what is read later is the same. */
const runsPerCommit = 10_000;

/** Adds copies of the runs that are there, all of them final, until there are so many. */
export const fillFinished = async (store: string, total: number): Promise<void> => {
  const db = new Sqlite(store);
  db.pragma('synchronous = OFF');
  db.pragma('cache_size = -1000000');
  const patterns = await readPatterns(db);
  const shrink = db.prepare('UPDATE runs SET snapshot = ? WHERE id = ?');
  const copyHistory = db.prepare(historyOfCopy);
  for (let from = patterns.length; from < total; from += runsPerCommit) {
    const numbers = Array.from({ length: Math.min(runsPerCommit, total - from) }, (_, index) => from + index);
    db.transaction(() => {
      const copies = numbers.map((number) => {
        const pattern = patterns[number % patterns.length]!;
        const id = number % userKeyEvery === 0 ? randomUUID() : randomUUIDv7();
        copy(pattern, id);
        copyHistory.run({ id, pattern: pattern.id, later: Date.now() - pattern.createdAt });
        return { id, snapshot: pattern.snapshot.replaceAll(pattern.id, id) };
      });
      // Not at once: the page would take the next run into the room that this leaves.
      for (const { id, snapshot } of copies) shrink.run(snapshot, id);
    })();
  }
  db.exec(`DELETE FROM census; INSERT INTO census ${counted}`);
  db.close();
  checkpoint(store);
};

/** It hangs on the number of the run, not on its id. */
const historyOfCopy = `
  INSERT INTO transitions (run, seq, at, event, to_state, duration, attempt, error, receipt)
  SELECT (SELECT no FROM runs WHERE id = :id), seq, at + :later, event, to_state, duration, attempt, error, receipt
  FROM transitions WHERE run = (SELECT no FROM runs WHERE id = :pattern)`;

const counted =
  'SELECT machine, version, status, state, count(*) FROM runs GROUP BY machine, version, status, state';

const readPatterns = async (db: Database): Promise<Pattern[]> => {
  const registry = await openMachines();
  const runs = db
    .prepare<[], RunRow>('SELECT id, machine, version, input, snapshot, created_at FROM runs')
    .all();
  const leavesOf = new Map(runs.map(({ id }) => [id, [] as Leaf[]]));
  const tables = db
    .prepare(`SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'`)
    .pluck()
    .all() as string[];
  for (const table of tables)
    for (const [id, leaf] of leavesIn(db, table, leavesOf)) leavesOf.get(id)!.push(leaf);
  return runs.map((run) => ({
    id: run.id,
    createdAt: run.created_at,
    snapshot: run.snapshot,
    widest: unfinished(registry.get(refOf(run))!, run.id, JSON.parse(run.input), 'calling').run.snapshot
      .length,
    leaves: leavesOf.get(run.id)!,
  }));
};

type RunRow = {
  id: string;
  machine: string;
  version: string;
  input: string;
  snapshot: string;
  created_at: number;
};

/** The rows of a table that name a run, by run. */
const leavesIn = (db: Database, table: string, runs: ReadonlyMap<string, unknown>): Map<string, Leaf> => {
  const rows = db.prepare<[], Row>(`SELECT * FROM ${table}`).all();
  const named = Map.groupBy(rows, (row) => idIn(row, runs));
  named.delete(undefined);
  if (named.size === 0) return new Map();
  const columns = db
    .prepare<[], { name: string; type: string; pk: number }>(
      `SELECT name, type, pk FROM pragma_table_info('${table}')`,
    )
    .all();
  const keys = columns.filter(({ pk }) => pk > 0);
  // A single whole number as the key is the row's number, which SQLite gives.
  const given = columns.filter(({ type, pk }) => !(pk > 0 && keys.length === 1 && type === 'INTEGER'));
  const names = given.map(({ name }) => name);
  const statement = db.prepare(
    `INSERT INTO ${table} (${names.join(', ')}) VALUES (${names.map(() => '?').join(', ')})`,
  );
  const insert = (values: Value[]) => void statement.run(...values);
  return new Map([...named].map(([id, own]) => [id!, { insert, columns: names, rows: own }]));
};

/** As an id, or as a call's key, which begins with one. */
const idIn = (row: Row, runs: ReadonlyMap<string, unknown>): string | undefined =>
  Object.values(row)
    .filter((value) => typeof value === 'string')
    .map((text) => text.replace(/\/\w+$/, ''))
    .find((text) => runs.has(text));

/** A snapshot is as wide as it was while its run went on. */
const copy = ({ id, createdAt, snapshot, widest, leaves }: Pattern, newId: string): void => {
  const later = Date.now() - createdAt;
  const copied = (value: Value): Value => {
    if (value === snapshot) return snapshot.replaceAll(id, newId).padEnd(widest);
    if (typeof value === 'string') return value.replaceAll(id, newId);
    return typeof value === 'number' && value > leastTime ? value + later : value;
  };
  for (const { insert, columns, rows } of leaves)
    for (const row of rows) insert(columns.map((column) => copied(row[column]!)));
};

/** A number from this one on is a time, in ms since the epoch. */
const leastTime = 1e12;
