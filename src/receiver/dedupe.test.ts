import path from 'node:path';
import Sqlite from 'better-sqlite3';
import { describe, expect, onTestFinished, test } from 'vitest';
import { tempDir } from '../../test/harness/tmp.ts';
import { DedupeGuard } from './dedupe.ts';

const open = (file = path.join(tempDir(), 'receiver.db')) => {
  const db = new Sqlite(file);
  onTestFinished(() => void db.close());
  let now = 1000;
  const guard = new DedupeGuard(db, () => now);
  db.exec('CREATE TABLE IF NOT EXISTS notes (text TEXT)');
  const note = (text: string) => () => void db.prepare('INSERT INTO notes VALUES (?)').run(text);
  const notes = () => db.prepare('SELECT text FROM notes').pluck().all();
  return { db, file, guard, note, notes, setNow: (ms: number) => (now = ms) };
};

describe('an effect in the same file', () => {
  test('takes place once, for another process too', () => {
    const { guard, note, notes, file } = open();
    expect(guard.once('m1', () => 7)).toEqual({ type: 'done', result: 7 });
    expect(guard.once('m2', note('two')).type).toBe('done');
    expect(open(file).guard.once('m2', note('again'))).toEqual({ type: 'repeat' });
    expect(notes()).toEqual(['two']);
  });

  test('that throws leaves nothing, and may take place later', () => {
    const { guard, note, notes } = open();
    const fails = () => {
      note('half')();
      throw new Error('disk full');
    };
    expect(() => guard.once('m1', fails)).toThrow('disk full');
    expect(notes()).toEqual([]);
    expect(guard.once('m1', note('whole')).type).toBe('done');
    expect(notes()).toEqual(['whole']);
  });

  test('cannot be asynchronous, for then it would not be in the transaction', () => {
    const { guard, notes } = open();
    expect(() => guard.once('m1', async () => {})).toThrow('not asynchronous');
    expect(guard.once('m1', () => {}).type).toBe('done');
    expect(notes()).toEqual([]);
  });

  test('is durable before the message is acked: each commit is synced', () => {
    const { db: first, file } = open();
    first.pragma('journal_mode = WAL');
    const { db } = open(file); // better-sqlite3 takes NORMAL where it finds a WAL
    expect(db.pragma('synchronous', { simple: true })).toBe(2);
  });
});

describe('an effect elsewhere', () => {
  test('takes place once while nothing crashes, though its repeats come while it is under way', async () => {
    const { guard } = open();
    const answer = Promise.withResolvers<string>();
    let effects = 0;
    const effect = () => {
      effects += 1;
      return answer.promise;
    };
    const outcomes = Promise.all([1, 2, 3].map(() => guard.onceElsewhere('m1', effect)));
    answer.resolve('sent');
    expect((await outcomes).map(({ type }) => type)).toEqual(['done', 'repeat', 'repeat']);
    expect(effects).toBe(1);
    expect(await guard.onceElsewhere('m1', effect)).toEqual({ type: 'repeat' });
  });

  test('that fails is not marked, and one that waited for it takes its place', async () => {
    const { guard } = open();
    let effects = 0;
    const effect = async () => {
      if ((effects += 1) === 1) throw new Error('away');
      return effects;
    };
    const [first, second] = await Promise.allSettled([
      guard.onceElsewhere('m1', effect),
      guard.onceElsewhere('m1', effect),
    ]);
    expect(first.status).toBe('rejected');
    expect(second).toMatchObject({ status: 'fulfilled', value: { type: 'done', result: 2 } });
  });
});

test('marks are forgotten by age', () => {
  const { guard, setNow } = open();
  guard.once('old', () => {});
  setNow(5000);
  guard.once('new', () => {});
  expect(guard.forget(5000)).toBe(1);
  expect(guard.once('old', () => {}).type).toBe('done');
  expect(guard.once('new', () => {}).type).toBe('repeat');
});
