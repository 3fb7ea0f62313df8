import { spawn } from 'node:child_process';
import { readFileSync, readlinkSync } from 'node:fs';
import { hostname } from 'node:os';
import path from 'node:path';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { tempDir } from '../../test/harness/tmp.ts';
import { openDatabase } from './database.ts';
import { deadWorkers, holdsLease, joinWorkers, leaseMs, removeWorker, renewLease } from './workers.ts';

// So that a test can be another host, and another pid namespace.
vi.mock('node:fs', { spy: true });
vi.mock('node:os', { spy: true });

const now = Date.UTC(2026, 0, 1);
const noProcess = 999_999_999;

const open = () => {
  const db = openDatabase(path.join(tempDir(), 'store.db'));
  onTestFinished(() => db.close());
  return {
    db,
    join: (id: string) => db.write(() => joinWorkers(db, id, now + leaseMs)),
    /** Says something else of a worker than what is true. */
    pretend: (id: string, change: { pid?: number; born?: string }) =>
      db.write(() => {
        const { pid = null, born = null } = change;
        db.run('UPDATE workers SET pid = coalesce(:pid, pid), born = coalesce(:born, born) WHERE id = :id', {
          id,
          pid,
          born,
        });
      }),
    dead: (at = now) => deadWorkers(db, at),
  };
};

describe('a worker of this host', () => {
  test('lives while its process does and its lease lasts', async () => {
    const { join, dead } = open();
    await join('a');
    expect(dead()).toEqual([]);
    expect(dead(now + leaseMs - 1)).toEqual([]);
    expect(dead(now + leaseMs)).toEqual(['a']);
  });

  test('is dead when there is no such process', async () => {
    const { join, pretend, dead } = open();
    await join('a');
    await pretend('a', { pid: noProcess });
    expect(dead()).toEqual(['a']);
  });

  test('is dead when another process has its pid', async () => {
    const { join, pretend, dead } = open();
    await join('a');
    await pretend('a', { pid: process.ppid });
    expect(dead()).toEqual(['a']);
  });

  test.runIf(process.platform === 'linux')('is dead when its process is a zombie', async () => {
    const { db, dead } = open();
    const script = `
      import { openDatabase } from '${import.meta.dirname}/database.ts';
      import { joinWorkers } from '${import.meta.dirname}/workers.ts';
      const db = openDatabase('${db.path}');
      await db.write(() => joinWorkers(db, 'a', ${now + leaseMs}));`;
    // A parent that does not wait for its children, as many a container's first process.
    const parent = spawn('sh', [
      '-c',
      '"$0" --input-type=module -e "$1" & echo $!; exec sleep 60',
      process.execPath,
      script,
    ]);
    onTestFinished(() => void parent.kill('SIGKILL'));
    const pid = Promise.withResolvers<string>();
    parent.stdout.setEncoding('utf8').once('data', pid.resolve);
    const stat = `/proc/${(await pid.promise).trim()}/stat`;
    await vi.waitFor(() => expect(readFileSync(stat, 'utf8')).toContain(') Z '), {
      timeout: 10_000,
      interval: 10,
    });
    expect(db.all('SELECT id FROM workers')).toEqual([{ id: 'a' }]);
    expect(dead()).toEqual(['a']);
  });

  test('of which nothing is known is judged by its lease alone', async () => {
    const { join, pretend, dead } = open();
    await join('a');
    await pretend('a', { pid: noProcess, born: '' });
    expect(dead()).toEqual([]);
    expect(dead(now + leaseMs)).toEqual(['a']);
  });
});

test.runIf(process.platform === 'linux')(
  'out of file descriptors, no process is taken for dead, oneself included',
  async () => {
    const { join, dead } = open();
    await join('a');
    const isShort = Object.assign(new Error('too many open files'), { code: 'EMFILE' });
    vi.mocked(readFileSync).mockImplementationOnce(() => {
      throw isShort;
    });
    expect(dead()).toEqual([]);
    expect(dead(now + leaseMs)).toEqual(['a']);
  },
);

describe('a worker whose pid means nothing here', () => {
  test('because it is of another host is dead only when its lease has run out', async () => {
    const { join, pretend, dead } = open();
    vi.mocked(hostname).mockReturnValueOnce('elsewhere');
    await join('a');
    await pretend('a', { pid: noProcess });
    expect(dead()).toEqual([]);
    expect(dead(now + leaseMs)).toEqual(['a']);
  });

  test.runIf(process.platform === 'linux')(
    'because it is of another pid namespace is dead only when its lease has run out',
    async () => {
      const { join, pretend, dead } = open();
      vi.mocked(readlinkSync).mockReturnValueOnce('pid:[1]');
      await join('a');
      await pretend('a', { pid: noProcess });
      expect(dead()).toEqual([]);
      expect(dead(now + leaseMs)).toEqual(['a']);
    },
  );
});

test('a lease is held until the worker is removed, and cannot be renewed after that', async () => {
  const { db, join, dead } = open();
  await join('a');
  expect(await db.write(() => renewLease(db, 'a', now + 2 * leaseMs))).toBe(true);
  expect(dead(now + leaseMs)).toEqual([]);
  expect(holdsLease(db, 'a')).toBe(true);
  await db.write(() => removeWorker(db, 'a'));
  expect(holdsLease(db, 'a')).toBe(false);
  expect(await db.write(() => renewLease(db, 'a', now + leaseMs))).toBe(false);
  await join('a');
  expect(holdsLease(db, 'a')).toBe(true);
});
