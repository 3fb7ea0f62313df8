import { chmodSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { tempDir } from '../../test/harness/tmp.ts';
import { openDatabase } from './database.ts';

const modes = (file: string) =>
  ['', '-wal', '-shm'].map((end) => (statSync(`${file}${end}`).mode & 0o777).toString(8));

test('a new store and what SQLite keeps beside it are their owner’s alone, whatever the umask', () => {
  const file = path.join(tempDir(), 'new.db');
  const before = process.umask(0);
  try {
    const db = openDatabase(file);
    expect(modes(file)).toEqual(['600', '600', '600']);
    db.close();
  } finally {
    process.umask(before);
  }
});

test('a store that its owner has shared stays shared', () => {
  const file = path.join(tempDir(), 'shared.db');
  writeFileSync(file, '');
  chmodSync(file, 0o660);
  const db = openDatabase(file);
  expect(modes(file)).toEqual(['660', '660', '660']);
  db.close();
});
