/** A store that is full, damaged, somebody else's, or from the future; and the proof that commits are durable. */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import Sqlite from 'better-sqlite3';
import { describe, expect, onTestFinished, test } from 'vitest';
import { openQueue } from '../src/cli/compose.ts';
import { quiet } from '../src/cli/log.ts';
import { openDatabase } from '../src/sqlite/database.ts';
import type { Database } from '../src/sqlite/database.ts';
import type { Log } from '../src/worker/log.ts';
import { holdfast } from './harness/cli.ts';
import { clean, drained, gate, nothingLeft, openEnds } from './harness/ends.ts';
import type { Ends } from './harness/ends.ts';
import { tempDir } from './harness/tmp.ts';

const open = async (
  settings: Partial<Ends['settings']> = {},
  onAudit?: () => Promise<void>,
): Promise<Ends> => {
  const folder = tempDir();
  const ends = await openEnds({ queue: 'embedded', folder, settings, ...(onAudit && { onAudit }) });
  onTestFinished(() => ends.close());
  return ends;
};

/** A log whose lines can be waited for. */
const listen = () => {
  const lines: string[] = [];
  const waiting = new Set<() => void>();
  const keep = (level: string) => (_details: object, message: string) => {
    lines.push(`${level}: ${message}`);
    for (const look of waiting) look();
  };
  const log: Log = { debug() {}, info: keep('info'), warn: keep('warn'), error: keep('error') };
  const line = (pattern: RegExp): Promise<void> =>
    new Promise((resolve, reject) => {
      const late = setTimeout(() => reject(new Error(`no line ${pattern} in\n${lines.join('\n')}`)), 10_000);
      const look = () => {
        if (!lines.some((text) => pattern.test(text))) return;
        clearTimeout(late);
        resolve();
      };
      waiting.add(look);
      look();
    });
  return { log, lines, line };
};

const bulky = (index: number): string => `${index} `.padEnd(500, 'x');

/** What the disk has now is all that it has, for this connection. Returns what makes room again. */
const fill = (db: Database): (() => void) => {
  const room = Number(db.pragma('max_page_count'));
  db.pragma(`max_page_count = ${Number(db.pragma('page_count'))}`);
  return () => void db.pragma(`max_page_count = ${room}`);
};

const complaints = (lines: string[]): string[] => lines.filter((text) => /^(warn|error)/.test(text));

describe('a full disk', () => {
  // The audit has half as many connections as there are places.
  const count = 300;

  test('stops the worker without a loss, with one line, and it goes on when there is room', async () => {
    const held = gate();
    const ends = await open({ concurrency: 2 * count }, held.pass);
    const { log, lines, line } = listen();
    const opened = await ends.openWorker(log);
    await opened.worker.start();
    const ids = await ends.submit(count);
    await held.arrived(count);
    const makeRoom = fill(opened.db);
    held.open();
    await line(/the store refuses a commit/);
    expect((await ends.report(ids)).notDone).toHaveLength(count);
    makeRoom();
    await line(/the store works again/);
    await ends.untilFinal(count);
    await drained(opened);
    await opened.close();
    // Its calls were answered before the disk was full, so nothing is repeated.
    expect(await ends.report(ids)).toEqual(clean(count, 0));
    expect(await ends.left()).toEqual(nothingLeft);
    expect(complaints(lines)).toEqual(['error: the store refuses a commit; the worker waits for it']);
  });

  test('lets the worker leave, and the next one finds everything', async () => {
    const held = gate();
    const ends = await open({ concurrency: 2 * count }, held.pass);
    const { log, line } = listen();
    const { worker, db, close } = await ends.openWorker(log);
    await worker.start();
    const ids = await ends.submit(count);
    await held.arrived(count);
    fill(db);
    held.open();
    await line(/the store refuses a commit/);
    await close();
    const next = await ends.openWorker();
    await next.worker.start();
    await ends.untilFinal(count);
    await drained(next);
    await next.close();
    // The answers that could not be kept are asked for again.
    expect(await ends.report(ids)).toEqual(clean(count, count));
    expect(await ends.left()).toEqual(nothingLeft);
  });

  test('that keeps a worker from taking messages is told of in one line', async () => {
    const ends = await open();
    const { log, lines, line } = listen();
    const opened = await ends.openWorker(log);
    await opened.worker.start();
    const makeRoom = fill(opened.db);
    const ids = await ends.submit(count, bulky); // by another connection, for which there is room
    await line(/^(warn|error): .*(full|refuse|cannot|could not)/);
    makeRoom();
    await ends.untilFinal(count);
    await drained(opened);
    await opened.close();
    expect(await ends.report(ids)).toEqual(clean(count, 0));
    expect(complaints(lines)).toHaveLength(1);
  });

  test('refuses a submission, and takes it when there is room', async () => {
    const ends = await open();
    const db = openDatabase(ends.settings.store);
    onTestFinished(() => db.close());
    const { queue } = openQueue(ends.settings, quiet, db);
    const makeRoom = fill(db);
    const submission = { id: 'big', machine: 'create-todo@1', body: Buffer.alloc(60_000, ' ') };
    const full = expect.stringMatching(/^not accepted: .*the disk is full/) as string;
    await expect(queue.publish(submission)).rejects.toMatchObject({ kind: 'unavailable', message: full });
    expect(await queue.depth()).toMatchObject({ ready: 0 });
    makeRoom();
    await queue.publish(submission);
    expect(await queue.depth()).toMatchObject({ ready: 1 });
  });
});

const sqliteFile = (file: string, sql: string): void => {
  const db = new Sqlite(file);
  db.exec(sql);
  db.close();
};

const fromTheFuture = (file: string): void => {
  openDatabase(file).close();
  sqliteFile(file, 'PRAGMA user_version = 99');
};

describe('a store that cannot be used', () => {
  const unusable: [name: string, make: (file: string) => void, says: RegExp][] = [
    ['from a newer Holdfast', fromTheFuture, /newer Holdfast \(format 99.*upgrade/],
    ['a text file', (file) => writeFileSync(file, 'Dear diary, '.repeat(100)), /not a SQLite file.*--store/],
    [
      "another program's SQLite file",
      (file) => sqliteFile(file, 'CREATE TABLE songs (id)'),
      /another program's.*--store/,
    ],
    ['a folder', (file) => mkdirSync(file), /cannot be opened/],
    [
      'damaged',
      (file) => sqliteFile(file, 'CREATE TABLE songs (id)') ?? scribble(file),
      /damaged|not a SQLite file/,
    ],
  ];
  const commands: [name: string, args: string[]][] = [
    ['worker', ['--audit-url', 'http://127.0.0.1:9/audit']],
    ['submit', ['Buy milk']],
  ];
  const cases = unusable.flatMap(([what, make, says]) =>
    commands.map(([name, args]) => ({ what, make, says, name, args })),
  );

  test.for(cases)('$what: $name says so in one line and exits 69', async ({ make, says, name, args }) => {
    const file = path.join(tempDir(), 'holdfast.db');
    make(file);
    const before = contentOf(file);
    await expectRefusal([name, ...args, '--store', file], says);
    expect(contentOf(file)).toEqual(before);
  });

  test.for(commands)(
    'in a folder that is not there: %s says so in one line and exits 69',
    async ([name, args]) => {
      await expectRefusal(
        [name, ...args, '--store', path.join(tempDir(), 'nowhere', 'holdfast.db')],
        /cannot be opened/,
      );
    },
  );
});

/** The header stays, so that it is still SQLite's. */
const scribble = (file: string): void => {
  const bytes = readFileSync(file);
  bytes.fill(0xff, 100);
  writeFileSync(file, bytes);
};

const contentOf = (file: string): unknown => {
  try {
    return createHash('sha256').update(readFileSync(file)).digest('hex');
  } catch {
    return 'no file';
  }
};

const expectRefusal = async (args: string[], says: RegExp): Promise<void> => {
  const { code, stdout, stderr } = await holdfast(args);
  expect({ code, stdout }, stderr).toEqual({ code: 69, stdout: '' });
  expect(stderr.trimEnd().split('\n')).toHaveLength(1);
  expect(stderr).toMatch(says);
};

const run = promisify(execFile);
const strace = await run('strace', ['--version']).then(
  () => true,
  () => false,
);

describe('durability', () => {
  test('every connection that writes has synchronous=FULL', () => {
    const db = openDatabase(path.join(tempDir(), 'holdfast.db'));
    expect(db.pragma('synchronous')).toBe(2);
    expect(db.pragma('journal_mode')).toBe('wal');
    db.close();
  });

  test.skipIf(!strace && !process.env['CI'])(
    'every turn of a worker waits for the disk',
    { timeout: 60_000 },
    async () => {
      if (!strace) throw new Error('this test counts fsyncs with strace: install it');
      const count = 20;
      // One todo at a time, so that no two share a commit: each is three turns.
      const ends = await open({ concurrency: 1 });
      const ids = await ends.submit(count);
      const counts = path.join(tempDir(), 'counts');
      const binary = path.join(import.meta.dirname, '../bin/holdfast.js');
      const worker = [process.execPath, binary, 'worker', '--drain', ...ends.flags];
      await run('strace', ['-f', '-c', '-o', counts, '-e', 'trace=fsync,fdatasync', ...worker], {
        timeout: 50_000,
      });
      expect(await ends.report(ids)).toEqual(clean(count, 0));
      expect(syncsIn(readFileSync(counts, 'utf8'))).toBeGreaterThanOrEqual(3 * count);
    },
  );
});

/** The column `calls` of `strace -c`. */
const syncsIn = (table: string): number =>
  [...table.matchAll(/^ *[\d.]+ +[\d.]+ +\d+ +(\d+) .*f(?:data)?sync$/gm)].reduce(
    (sum, [, calls]) => sum + Number(calls),
    0,
  );
