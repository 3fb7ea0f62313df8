import { closeSync, copyFileSync, fsyncSync, mkdtempSync, openSync } from 'node:fs';
import path from 'node:path';
import Sqlite from 'better-sqlite3';
import type { Bench } from './bench.ts';
import { startChild } from './child.ts';
import type { Unfinished } from './unfinished.ts';
import { whole } from './table.ts';

/** A store with unfinished runs in it, to be copied. */
export type Made = { readonly template: string; readonly ids: readonly string[] };

/** Those that call belong to a worker that was killed; those that wait belong to nobody. */
export const makeRuns = async (
  { folder, progress }: Bench,
  count: number,
  how: Unfinished,
  store = path.join(mkdtempSync(path.join(folder, 'made-')), 'bench.db'),
): Promise<Made> => {
  progress(`making ${whole(count)} runs that ${how === 'calling' ? 'have a call to make' : 'wait'}`);
  const maker = await startChild('maker.ts', [store]);
  const ids = await maker.ask<string[]>('make', { count, how });
  await (how === 'calling' ? maker.kill() : maker.stop());
  checkpoint(store);
  return { template: store, ids };
};

/** Copies the log into the file, so that the file is all there is. */
export const checkpoint = (store: string): void => {
  const db = new Sqlite(store);
  db.pragma('wal_checkpoint(TRUNCATE)');
  db.close();
};

/** So that the copy is not still on its way to the disk while something is measured. */
export const copyDurably = (from: string, to: string): void => {
  copyFileSync(from, to);
  const file = openSync(to, 'r+');
  fsyncSync(file);
  closeSync(file);
};
