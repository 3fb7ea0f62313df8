/** Several real worker processes on one store and one queue: sharing, dying, hanging, leaving. */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, inject, onTestFinished, test } from 'vitest';
import { openQueue } from '../src/cli/compose.ts';
import { quiet } from '../src/cli/log.ts';
import { openDatabase } from '../src/sqlite/database.ts';
import type { Database } from '../src/sqlite/database.ts';
import { spawnHoldfast } from './harness/cli.ts';
import type { CliProcess } from './harness/cli.ts';
import { clean, drained, emptied, gate, nothingLeft, openEnds } from './harness/ends.ts';
import type { Ends, EndsOptions } from './harness/ends.ts';
import { tempDir } from './harness/tmp.ts';

const queues = [
  ['embedded', 'embedded'],
  ['RabbitMQ', inject('amqpUrl')],
] as const;

const open = async (queue: string, options: Partial<EndsOptions> = {}): Promise<Ends> => {
  const folder = tempDir();
  const ends = await openEnds({ queue, folder, ...options });
  onTestFinished(() => ends.close());
  return ends;
};

/** A worker of the real binary, from when it says that it runs. */
const startWorker = async (ends: Ends, flags: string[] = []): Promise<CliProcess> => {
  const worker = spawnHoldfast(['worker', ...ends.flags, ...flags]);
  await worker.waitForLine(/the worker runs/);
  return worker;
};

const leave = async (worker: CliProcess, signal: NodeJS.Signals = 'SIGTERM'): Promise<void> => {
  worker.kill(signal);
  expect(await worker.exited, worker.stderr).toEqual({ code: 0, signal: null });
};

const die = async (worker: CliProcess): Promise<void> => {
  worker.kill('SIGKILL');
  expect(await worker.exited).toMatchObject({ signal: 'SIGKILL' });
};

/** With a broker one worker has the messages at a time: the one that has finished a todo is the one. */
const warmUp = async (ends: Ends): Promise<string[]> => {
  const ids = await ends.submit(1);
  await ends.untilFinal(1);
  return ids;
};

describe.for(queues)('two workers on %s', ([, queue]) => {
  test('run each of 200 todos once', async () => {
    const ends = await open(queue);
    const workers = await Promise.all([startWorker(ends), startWorker(ends)]);
    const ids = await ends.submit(200);
    await ends.untilFinal(200);
    await Promise.all(workers.map((worker) => leave(worker)));
    expect(await ends.report(ids)).toEqual(clean(200, 0));
    expect(await ends.left()).toEqual(nothingLeft);
  });

  test('when one is killed, the other goes on with its runs within seconds', async () => {
    const held = gate();
    let isWarm = false;
    const ends = await open(queue, {
      settings: { concurrency: 8 },
      onAudit: () => (isWarm ? held.pass() : undefined),
    });
    const doomed = await startWorker(ends);
    const first = await warmUp(ends);
    isWarm = true;
    const heir = await startWorker(ends);
    const ids = await ends.submit(20);
    // On the embedded queue both have eight in hand now; on RabbitMQ the first one has.
    await held.arrived(queue === 'embedded' ? 16 : 8);
    await die(doomed);
    const killed = performance.now();
    held.open();
    await ends.untilFinal(21);
    expect(performance.now() - killed).toBeLessThan(5000);
    await leave(heir);
    await emptied(ends);
    const report = await ends.report([...first, ...ids]);
    expect(report).toEqual(clean(21, report.tally.repeats));
    // What the killed one had in flight is repeated under its own key; nothing else is.
    expect(report.tally.repeats).toBeLessThanOrEqual(8);
    expect(await ends.left()).toEqual(nothingLeft);
  });

  test.for([
    ['delivered for the first time', false],
    ['redelivered', true],
  ] as const)(
    'one that was stopped past its lease, its messages %s, changes nothing when it goes on',
    async ([, again]) => {
      const count = 5;
      let entries = 0;
      const lateGate = gate();
      const heirGate = gate();
      const ends = await open(queue, {
        onAudit: () => ((entries += 1) <= count ? lateGate : heirGate).pass(),
      });
      const ids = await ends.submit(count);
      if (again) await handOut(ends, count);
      const late = await startWorker(ends);
      await lateGate.arrived(count);
      late.kill('SIGSTOP');
      const db = openDatabase(ends.settings.store);
      await db.write(() => db.run('UPDATE workers SET expires_at = 0'));
      db.close();
      const heir = await startWorker(ends);
      await heirGate.arrived(count);
      const before = ends.contents();
      // Its entries are refused in the end, so that it would want to write `retryingAudit`.
      lateGate.refuse();
      late.kill('SIGCONT');
      await ticked(ends, late);
      expect(ends.contents()).toEqual(before);
      await leave(late);
      expect(ends.contents()).toEqual(before);
      heirGate.open();
      await ends.untilFinal(count);
      await leave(heir);
      await emptied(ends);
      expect(await ends.report(ids)).toEqual(clean(count, count));
      expect(await ends.left()).toEqual(nothingLeft);
    },
  );
});

/** Resolves when the worker has a lease, and has renewed it since: it has looked at all that was there. */
const ticked = async (ends: Ends, { child: { pid } }: CliProcess): Promise<void> => {
  const lease = (db: Database) =>
    db.get<{ at: number }>('SELECT max(expires_at) AS at FROM workers WHERE pid = :pid', { pid })?.at ?? 0;
  let first = 0;
  await ends.until('the worker had a lease', (_, db) => (first = lease(db)) > 0);
  await ends.until('the worker had renewed its lease', (_, db) => lease(db) > first + 900);
};

/** Takes the messages and gives them back, as a worker does that dies before it has begun. */
const handOut = async (ends: Ends, count: number): Promise<void> => {
  const { queue, close } = openQueue(ends.settings, quiet);
  const all = Promise.withResolvers<void>();
  let taken = 0;
  queue.consume({
    worker: 'short-lived',
    prefetch: count,
    onDelivery: () => (taken += 1) === count && all.resolve(),
    onLost: () => {},
  });
  await all.promise;
  await close();
};

test('two workers on the embedded queue share the work', async () => {
  const held = gate();
  const ends = await open('embedded', { settings: { concurrency: 8 }, onAudit: held.pass });
  const workers = await Promise.all([startWorker(ends), startWorker(ends)]);
  const ids = await ends.submit(40);
  await held.arrived(16); // a worker alone has eight calls in flight at most
  held.open();
  await ends.untilFinal(40);
  await Promise.all(workers.map((worker) => leave(worker)));
  expect(await ends.report(ids)).toEqual(clean(40, 0));
});

test('a worker takes up at its start what a killed one left, without waiting for a tick', async () => {
  const held = gate();
  let isOver = false;
  const ends = await open('embedded', { onAudit: () => (isOver ? undefined : held.pass()) });
  const doomed = await startWorker(ends);
  const ids = await ends.submit(3);
  await held.arrived(3);
  await die(doomed);
  isOver = true;
  held.open();
  const heir = await startWorker(ends);
  // Said before the loop of looks has begun.
  const first = heir.stderr.split('\n').find((line) => /resumed unfinished runs|the worker runs/.test(line));
  expect(first).toContain('resumed unfinished runs');
  await ends.untilFinal(3);
  await leave(heir);
  expect(await ends.report(ids)).toEqual(clean(3, 3));
});

describe.for(queues)('a worker that is asked to leave, on %s', ([, queue]) => {
  test.for(['SIGTERM', 'SIGINT'] as const)(
    'by %s finishes what is in flight, and leaves the rest to the next',
    async (signal) => {
      const held = gate();
      const ends = await open(queue, { settings: { concurrency: 8 }, onAudit: held.pass });
      const worker = await startWorker(ends);
      const ids = await ends.submit(20);
      await held.arrived(8);
      worker.kill(signal);
      await worker.waitForLine(/draining/);
      held.open();
      expect(await worker.exited, worker.stderr).toEqual({ code: 0, signal: null });
      expect(ends.audits()).toHaveLength(8);
      const { notDone } = await ends.report(ids);
      expect(notDone).toHaveLength(12);
      const next = await startWorker(ends);
      await ends.untilFinal(20);
      await leave(next);
      expect(await ends.report(ids)).toEqual(clean(20, 0));
      expect(await ends.left()).toEqual(nothingLeft);
    },
  );

  test('leaves at once at the second signal, while a call hangs', async () => {
    const held = gate();
    const ends = await open(queue, { onAudit: held.pass });
    const worker = await startWorker(ends);
    const ids = await ends.submit(2);
    await held.arrived(2);
    worker.kill('SIGTERM');
    await worker.waitForLine(/draining/);
    const asked = performance.now();
    worker.kill('SIGTERM');
    expect(await worker.exited).toEqual({ code: 143, signal: null });
    expect(performance.now() - asked).toBeLessThan(2000);
    held.open();
    const next = await startWorker(ends);
    await ends.untilFinal(2);
    await leave(next);
    await emptied(ends);
    expect(await ends.report(ids)).toEqual(clean(2, 2));
  });

  test('leaves at once when it has nothing to do', async () => {
    const ends = await open(queue);
    const worker = await startWorker(ends);
    const asked = performance.now();
    await leave(worker);
    expect(performance.now() - asked).toBeLessThan(2000);
    expect(await ends.left()).toEqual(nothingLeft);
  });

  test('with --drain leaves by itself when everything is done', async () => {
    const ends = await open(queue);
    const ids = await ends.submit(10);
    const worker = spawnHoldfast(['worker', '--drain', ...ends.flags]);
    expect(await worker.exited, worker.stderr).toEqual({ code: 0, signal: null });
    expect(await ends.report(ids)).toEqual(clean(10, 0));
    expect(await ends.left()).toEqual(nothingLeft);
  });
});

/** A machine whose one call takes its process down, where the input says so. */
const poisonous = (folder: string): string => {
  const file = path.join(folder, 'poison.mjs');
  const definition = new URL('../src/engine/definition.ts', import.meta.url);
  writeFileSync(
    file,
    `
    import { setup } from '${import.meta.resolve('xstate')}';
    import { z } from '${import.meta.resolve('zod')}';
    import { call } from '${definition.href}';
    export const taste = {
      input: z.object({ poison: z.boolean() }),
      remote: {
        taste: {
          async perform({ poison }) {
            if (poison) process.kill(process.pid, 'SIGKILL');
            await new Promise((resolve) => setTimeout(resolve, 50));
            return {};
          },
        },
      },
      machine: setup({ actors: { taste: call() } }).createMachine({
        id: 'taste',
        version: '1',
        context: ({ input }) => input,
        initial: 'tasting',
        states: {
          tasting: { invoke: { src: 'taste', input: ({ context }) => context.input, onDone: 'done', onError: 'failed' } },
          done: { type: 'final' },
          failed: { type: 'final' },
        },
      }),
    };`,
  );
  return file;
};

test.for(queues)(
  'a run that takes its worker down again and again fails, and the others are done, on %s',
  { timeout: 60_000 },
  async ([, queue]) => {
    const folder = tempDir();
    const ends = await open(queue, { folder, settings: { machines: [poisonous(folder)] } });
    const taste = JSON.stringify({ poison: false });
    const lines = Array.from({ length: 10 }, (_, index) =>
      index === 4 ? JSON.stringify({ poison: true, key: 'poison' }) : taste,
    );
    const machines = ['--machines', ...ends.settings.machines];
    const submit = spawnHoldfast(
      [
        'submit',
        '--machine',
        'taste',
        '--file',
        '-',
        ...ends.queueFlags,
        '--lap',
        `${ends.settings.lap}ms`,
        ...machines,
      ],
      {
        input: lines.join('\n'),
      },
    );
    expect(await submit.exited, submit.stderr).toMatchObject({ code: 0 });

    let deaths = 0;
    const supervised = async (): Promise<CliProcess> => {
      for (;;) {
        const worker = spawnHoldfast(['worker', ...ends.flags, ...machines]);
        const all = ends.untilFinal(10, 25_000).then(() => 'all final' as const);
        const end = await Promise.race([all, worker.exited]);
        if (end === 'all final') return worker;
        all.catch(() => {}); // it goes on looking until its time is up
        expect(end).toMatchObject({ signal: 'SIGKILL' });
        deaths += 1;
        expect(deaths).toBeLessThan(12);
      }
    };
    const survivor = await supervised();
    await leave(survivor);
    await ends.until('the poison failed', async (store) => {
      const run = await store.get('poison');
      expect(run).toMatchObject({ status: 'failed', failedIn: 'tasting' });
      expect(run?.reason).toMatch(/its worker died \d+ times in a row while it ran/);
      expect(await store.list({ status: 'done', limit: 20 })).toHaveLength(9);
      return true;
    });
    const cleaner = await ends.openWorker();
    await cleaner.worker.start();
    await drained(cleaner);
    await cleaner.close();
    expect(await ends.left()).toEqual(nothingLeft);
  },
);
