/** The machine that a worker runs on: its files, its clock, its limits. Each fault gives one line, and loses nothing accepted. */
import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, inject, onTestFinished, test } from 'vitest';
import { openQueue } from '../src/cli/compose.ts';
import { quiet } from '../src/cli/log.ts';
import { openDatabase } from '../src/sqlite/database.ts';
import type { Database } from '../src/sqlite/database.ts';
import type { Store } from '../src/store/store.ts';
import { spawnHoldfast, spawnNode } from './harness/cli.ts';
import type { CliProcess } from './harness/cli.ts';
import { clean, emptied, gate, nothingLeft } from './harness/ends.ts';
import type { Ends, EndsOptions } from './harness/ends.ts';
import { startProxy } from './harness/proxy.ts';
import { tempDir } from './harness/tmp.ts';
import { leave, openSite, startWorker } from './harness/worker.ts';

const open = ({ queue = 'embedded', ...options }: Partial<EndsOptions> = {}): Promise<Ends> =>
  openSite(queue, options);

/** What it said beside its log, a line each. */
const lastWords = ({ stderr }: CliProcess): string[] =>
  stderr.split('\n').filter((line) => line.startsWith('holdfast:'));

/** Warnings and errors of its log. */
const complaints = ({ stderr }: CliProcess): string[] =>
  stderr.split('\n').filter((line) => /"level":[45]0/.test(line));

const storeFiles = (store: string): string[] => ['', '-wal', '-shm'].map((end) => `${store}${end}`);

const harm: [name: string, act: (store: string) => void][] = [
  ['deleted', (store) => storeFiles(store).forEach((file) => rmSync(file))],
  ['moved away', (store) => storeFiles(store).forEach((file) => renameSync(file, `${file}.old`))],
  [
    'replaced by its backup',
    (store) => (copyFileSync(store, `${store}.backup`), renameSync(`${store}.backup`, store)),
  ],
  ['without what was written ahead', (store) => rmSync(`${store}-wal`)],
];

describe('a store that is taken away from a running worker', () => {
  test.for(harm)('%s: it leaves with one line, and the broker has the messages', async ([, act]) => {
    const count = 20;
    const held = gate();
    let isOver = false;
    const ends = await open({ queue: inject('amqpUrl'), onAudit: () => (isOver ? undefined : held.pass()) });
    const worker = await startWorker(ends);
    const ids = await ends.submit(count);
    await held.arrived(count);
    act(ends.settings.store);
    isOver = true;
    held.open(); // each answer would make a run final, and its message be acked
    expect(await worker.exited, worker.stderr).toEqual({ code: 69, signal: null });
    expect(lastWords(worker)).toEqual([expect.stringMatching(/deleted or replaced while it was in use/)]);
    expect(complaints(worker)).toEqual([]);
    const { ready, waiting } = await ends.left();
    expect(ready + waiting).toBe(count);
    for (const file of storeFiles(ends.settings.store)) rmSync(file, { force: true }); // to begin anew
    const next = await startWorker(ends);
    await ends.untilFinal(count);
    await leave(next);
    await emptied(ends);
    const report = await ends.report(ids);
    expect(report).toEqual(clean(count, report.tally.repeats));
    expect(await ends.left()).toEqual(nothingLeft);
  });

  test('and that has nothing to do is noticed all the same', async () => {
    const ends = await open();
    const worker = await startWorker(ends);
    for (const file of storeFiles(ends.settings.store)) rmSync(file);
    expect(await worker.exited, worker.stderr).toEqual({ code: 69, signal: null });
    expect(lastWords(worker)).toHaveLength(1);
    expect(complaints(worker)).toEqual([]);
    expect(existsSync(ends.settings.store)).toBe(false);
  });

  test('accepts no submission of a program that has it open', async () => {
    const ends = await open();
    const db = openDatabase(ends.settings.store);
    onTestFinished(() => db.close());
    const { queue } = openQueue(ends.settings, quiet, db);
    const submission = { id: 'a', machine: 'create-todo@1', body: Buffer.from('{"title":"a"}') };
    await queue.publish(submission);
    rmSync(ends.settings.store);
    const refusal = expect.stringMatching(/^not accepted: .* was deleted or replaced/) as string;
    await expect(queue.publish(submission)).rejects.toMatchObject({ kind: 'unavailable', message: refusal });
  });
});

/** A library that makes fsync fail as a dying disk does, for as long as the file `switch` exists. */
const brokenFsync = (): { env: Record<string, string>; fail: () => void; mend: () => void } => {
  const folder = tempDir();
  const file = (name: string) => path.join(folder, name);
  const wrap = (name: string) => `int ${name}(int fd) {
    if (access("${file('switch')}", F_OK) == 0) { errno = EIO; return -1; }
    return ((int (*)(int)) dlsym(RTLD_NEXT, "${name}"))(fd);
  }`;
  const head = ['errno', 'dlfcn', 'unistd'].map((name) => `#include <${name}.h>`);
  writeFileSync(
    file('fsync.c'),
    ['#define _GNU_SOURCE', ...head, wrap('fsync'), wrap('fdatasync')].join('\n'),
  );
  execFileSync('cc', ['-shared', '-fPIC', '-o', file('fsync.so'), file('fsync.c'), '-ldl']);
  return {
    env: { LD_PRELOAD: file('fsync.so') },
    fail: () => writeFileSync(file('switch'), ''),
    mend: () => rmSync(file('switch')),
  };
};

describe.runIf(process.platform === 'linux')('an fsync that fails', () => {
  test('acks nothing, is told of in one line, and loses nothing when the disk is well again', async () => {
    const count = 20;
    const held = gate();
    const ends = await open({ queue: inject('amqpUrl'), onAudit: held.pass });
    const disk = brokenFsync();
    const worker = spawnHoldfast(['worker', ...ends.flags], { env: disk.env });
    await worker.waitForLine(/the worker runs/);
    const ids = await ends.submit(count);
    await held.arrived(count);
    disk.fail();
    held.open();
    await worker.waitForLine(/the store refuses a commit.*/);
    expect((await ends.report(ids)).notDone).toHaveLength(count);
    disk.mend();
    await ends.untilFinal(count);
    await leave(worker);
    await emptied(ends);
    expect(await ends.report(ids)).toEqual(clean(count, 0));
    expect(await ends.left()).toEqual(nothingLeft);
    expect(complaints(worker).filter((line) => line.includes('refuses a commit'))).toEqual([
      expect.stringMatching(/I\/O error: check the disk/),
    ]);
  });
});

/** `chattr +i`: writing is refused even to root, and through descriptors that are open, as on a disk that went read-only. */
const setReadOnly = (files: string[], isReadOnly: boolean): void =>
  void execFileSync('chattr', [isReadOnly ? '+i' : '-i', ...files], { stdio: 'ignore' });

/** Only root may, and not every file system can. */
const canSetReadOnly = (): boolean => {
  const file = path.join(tempDir(), 'probe');
  writeFileSync(file, '');
  try {
    setReadOnly([file], true);
    setReadOnly([file], false);
    return true;
  } catch {
    return false;
  }
};

describe('a store that becomes read-only under a running worker', () => {
  test('is told of in one line, and nothing is lost when it may be written to again', async ({ skip }) => {
    skip(!canSetReadOnly(), 'chattr +i is not possible here');
    const count = 20;
    const held = gate();
    const ends = await open({ queue: inject('amqpUrl'), onAudit: held.pass });
    const worker = await startWorker(ends);
    const ids = await ends.submit(count);
    await held.arrived(count);
    // Not the -shm, which is mapped: a page of it that the kernel has just written back would end the worker with SIGBUS.
    const files = storeFiles(ends.settings.store).filter((file) => !file.endsWith('-shm'));
    onTestFinished(() => setReadOnly(files.filter(existsSync), false)); // or its folder could not be removed
    setReadOnly(files, true);
    held.open();
    await worker.waitForLine(/the store refuses a commit/);
    setReadOnly(files, false);
    await ends.untilFinal(count);
    await leave(worker);
    await emptied(ends);
    expect(await ends.report(ids)).toEqual(clean(count, 0));
    expect(await ends.left()).toEqual(nothingLeft);
    expect(complaints(worker).filter((line) => line.includes('refuses a commit'))).toEqual([
      expect.stringMatching(/check the disk, and that it may be written to/),
    ]);
  });
});

/** What `ulimit -n` sets, for a process that runs: what is open stays open. */
const limitFiles = (pid: number, count: number | 'unlimited'): void =>
  void execFileSync('prlimit', ['--pid', `${pid}`, `--nofile=${count === 'unlimited' ? 1024 : count}:`]);

describe.runIf(process.platform === 'linux')('out of file descriptors', () => {
  test('a worker loses nothing, keeps its lease, blames nobody, and goes on when there is room', async () => {
    const count = 50;
    const proxy = await startProxy(inject('amqpUrl'));
    onTestFinished(() => proxy.close());
    const held = gate();
    const ends = await open({ queue: proxy.url, onAudit: held.pass });
    const worker = await startWorker(ends);
    const [first] = await ends.submit(1);
    await held.arrived(1); // so it is connected, and its one connection to the audit service is taken
    limitFiles(worker.child.pid!, 1);
    const ids = [first!, ...(await ends.submit(count - 1))];
    await worker.waitForLine(/the audit service was not asked: this process has no file descriptor left/);
    proxy.cut();
    await worker.waitForLine(/RabbitMQ at .* was not asked: this process has no file descriptor left/);
    await ends.until('the lease was renewed', renewedTwice());
    proxy.heal();
    held.open();
    limitFiles(worker.child.pid!, 'unlimited');
    await ends.untilFinal(count);
    await leave(worker);
    await emptied(ends);
    const report = await ends.report(ids);
    expect(report).toEqual(clean(count, report.tally.repeats));
    expect(await ends.left()).toEqual(nothingLeft);
    expect(complaints(worker).filter((line) => /lease|store/.test(line))).toEqual([]);
  });

  test('few are enough: the worker makes as many calls at once as there are', async () => {
    const count = 50;
    const ends = await open();
    const worker = await startWorker(ends);
    limitFiles(worker.child.pid!, firstFree(worker.child.pid!) + 2);
    const ids = await ends.submit(count);
    await ends.untilFinal(count);
    expect(await ends.report(ids)).toEqual(clean(count, 0));
    await leave(worker);
  });

  test('a store that cannot be opened for that says so', async () => {
    const script = `
      import { openSync } from 'node:fs';
      import { openDatabase } from '${path.resolve('src/sqlite/database.ts')}';
      try { for (;;) openSync('/dev/null'); } catch {}
      try { openDatabase('${path.join(tempDir(), 'store.db')}'); } catch (error) { console.log(error.message); }`;
    const opener = spawnNode(['--input-type=module', '-e', script]);
    limitFiles(opener.child.pid!, 100);
    await opener.waitForLine(/the store .* cannot be opened: this process has no file descriptor left/);
  });
});

const firstFree = (pid: number): number => {
  const taken = new Set(readdirSync(`/proc/${pid}/fd`).map(Number));
  let free = 0;
  while (taken.has(free)) free += 1;
  return free;
};

/** True when the one worker's lease was renewed twice since it was first asked. */
const renewedTwice = () => {
  const seen = new Set<unknown>();
  return (_store: Store, db: Database): boolean =>
    seen.add(db.get<{ at: number }>('SELECT expires_at AS at FROM workers')?.at).size > 2;
};
