/** Real worker processes that are killed, hang or are cut off, while another one stands by or is started. */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, inject, onTestFinished, test } from 'vitest';
import { openQueue } from '../src/cli/compose.ts';
import { quiet } from '../src/cli/log.ts';
import type { Database } from '../src/sqlite/database.ts';
import { spawnHoldfast } from './harness/cli.ts';
import type { CliProcess } from './harness/cli.ts';
import { clean, drained, emptied, gate, nothingLeft } from './harness/ends.ts';
import type { Ends } from './harness/ends.ts';
import { startProxy } from './harness/proxy.ts';
import { tempDir } from './harness/tmp.ts';
import { leave, openSite, startWorker } from './harness/worker.ts';

const queues = [
  ['embedded', 'embedded'],
  ['RabbitMQ', inject('amqpUrl')],
] as const;

/** In ms; the shortest that a worker takes. */
const shortLease = 3000;

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

/** The audit entries that were delivered so often. */
const deliveredTimes = (ends: Ends, times: number): string[] =>
  [...ends.audit.received.values()]
    .filter(({ deliveries }) => deliveries === times)
    .map(({ key }) => key)
    .toSorted();

/** Those that have arrived; while the gate is shut, none of them is answered. */
const arrivedAt = (ends: Ends): string[] => [...ends.audit.received.keys()].toSorted();

describe.for(queues)('a worker that is killed, on %s,', ([, queue]) => {
  test('is followed within seconds by one that stands by, which repeats only what was in flight', async () => {
    const held = gate();
    let isWarm = false;
    const ends = await openSite(queue, {
      onAudit: () => (isWarm ? held.pass() : undefined),
    });
    const doomed = await startWorker(ends);
    const first = await warmUp(ends);
    const ids = await ends.submit(8);
    isWarm = true;
    await held.arrived(8);
    const inFlight = arrivedAt(ends).filter((key) => !key.startsWith(first[0]!));
    const heir = await startWorker(ends);
    await die(doomed);
    const killed = performance.now();
    held.open();
    const more = await ends.submit(12);
    await ends.untilFinal(21);
    expect(performance.now() - killed).toBeLessThan(5000);
    await leave(heir);
    await emptied(ends);
    expect(await ends.report([...first, ...ids, ...more])).toEqual(clean(21, 8));
    expect(deliveredTimes(ends, 2)).toEqual(inFlight);
    expect(await ends.left()).toEqual(nothingLeft);
  });

  test('and whose heir is killed while it recovers, changes nothing either', async () => {
    let stage = 0;
    const gates = [gate(), gate()] as const;
    const ends = await openSite(queue, {
      settings: { concurrency: 8 },
      onAudit: () => gates[stage]?.pass(),
    });
    const ids = await ends.submit(20);
    const first = await startWorker(ends);
    await gates[0].arrived(8);
    const inFlight = arrivedAt(ends);
    stage = 1;
    await die(first);
    const second = await startWorker(ends);
    await gates[1].arrived(8);
    const inFlightAgain = arrivedAt(ends);
    stage = 2;
    await die(second);
    for (const { open: openGate } of gates) openGate();
    const third = await startWorker(ends);
    await ends.untilFinal(20);
    await leave(third);
    await emptied(ends);
    const thrice = deliveredTimes(ends, 3);
    const twice = deliveredTimes(ends, 2);
    expect(inFlight).toEqual(expect.arrayContaining(thrice));
    expect([...thrice, ...twice].toSorted()).toEqual(inFlightAgain);
    expect(await ends.report(ids)).toEqual(clean(20, 16));
    expect(await ends.left()).toEqual(nothingLeft);
  });
});

describe.for(queues)('a worker that was stopped past its lease, on %s,', ([, queue]) => {
  test.for([
    ['its messages delivered for the first time', false],
    ['its messages redelivered', true],
  ] as const)('%s, changes nothing when it goes on', async ([, again]) => {
    const count = 5;
    let entries = 0;
    const lateGate = gate();
    const heirGate = gate();
    const ends = await openSite(queue, {
      settings: { lease: shortLease },
      onAudit: () => ((entries += 1) <= count ? lateGate : heirGate).pass(),
    });
    const ids = await ends.submit(count);
    if (again) await handOut(ends, count);
    const late = await startWorker(ends);
    await lateGate.arrived(count);
    late.kill('SIGSTOP');
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
  });
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

describe('a worker that is cut off from the broker', () => {
  test.for([
    ['and told so', 'cut', 'heartbeat=10'],
    ['in silence', 'hush', 'heartbeat=2'],
  ] as const)(
    '%s, is followed by one that is not, and serves again when the line is back',
    async ([, how, heartbeat]) => {
      const held = gate();
      const broker = inject('amqpUrl');
      const proxy = await startProxy(`${broker}?${heartbeat}`);
      onTestFinished(() => proxy.close());
      const ends = await openSite(broker, { onAudit: held.pass });
      const ids = await ends.submit(8);
      const late = await startWorker(ends, ['--queue', proxy.url]);
      await held.arrived(8);
      const inFlight = arrivedAt(ends);
      const heir = await startWorker(ends);
      proxy[how]();
      await held.arrived(16);
      expect(arrivedAt(ends)).toEqual(inFlight); // the heir repeats what was in flight, under its keys
      held.open();
      await ends.untilFinal(8);
      expect(deliveredTimes(ends, 2)).toEqual(inFlight);
      proxy.heal();
      await leave(heir);
      const more = await ends.submit(12);
      await ends.untilFinal(20);
      await leave(late);
      await emptied(ends);
      expect(await ends.report([...ids, ...more])).toEqual(clean(20, 8));
      expect(await ends.left()).toEqual(nothingLeft);
    },
  );
});

test('a worker takes up at its start what a killed one left, without waiting for a tick', async () => {
  const held = gate();
  let isOver = false;
  const ends = await openSite('embedded', { onAudit: () => (isOver ? undefined : held.pass()) });
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
    const ends = await openSite(queue, { folder, settings: { machines: [poisonous(folder)] } });
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
