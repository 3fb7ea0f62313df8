/** Several real worker processes on one store and one queue: sharing and leaving; takeover.test.ts has those that die. */
import { describe, expect, inject, test } from 'vitest';
import { spawnHoldfast } from './harness/cli.ts';
import { clean, emptied, gate, nothingLeft } from './harness/ends.ts';
import { leave, openSite, startWorker } from './harness/worker.ts';

const queues = [
  ['embedded', 'embedded'],
  ['RabbitMQ', inject('amqpUrl')],
] as const;

describe.for(queues)('two workers on %s', ([, queue]) => {
  test('run each of 200 todos once', async () => {
    const ends = await openSite(queue);
    const workers = await Promise.all([startWorker(ends), startWorker(ends)]);
    const ids = await ends.submit(200);
    await ends.untilFinal(200);
    await Promise.all(workers.map((worker) => leave(worker)));
    expect(await ends.report(ids)).toEqual(clean(200, 0));
    expect(await ends.left()).toEqual(nothingLeft);
  });
});

test('two workers on the embedded queue share the work', async () => {
  const held = gate();
  const ends = await openSite('embedded', { settings: { concurrency: 8 }, onAudit: held.pass });
  const workers = await Promise.all([startWorker(ends), startWorker(ends)]);
  const ids = await ends.submit(40);
  await held.arrived(16); // a worker alone has eight calls in flight at most
  held.open();
  await ends.untilFinal(40);
  await Promise.all(workers.map((worker) => leave(worker)));
  expect(await ends.report(ids)).toEqual(clean(40, 0));
});

describe.for(queues)('a worker that is asked to leave, on %s', ([, queue]) => {
  test.for(['SIGTERM', 'SIGINT'] as const)(
    'by %s finishes what is in flight, and leaves the rest to the next',
    async (signal) => {
      const held = gate();
      const ends = await openSite(queue, { settings: { concurrency: 8 }, onAudit: held.pass });
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
    const ends = await openSite(queue, { onAudit: held.pass });
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
    const ends = await openSite(queue);
    const worker = await startWorker(ends);
    const asked = performance.now();
    await leave(worker);
    expect(performance.now() - asked).toBeLessThan(2000);
    expect(await ends.left()).toEqual(nothingLeft);
  });

  test('with --drain leaves by itself when everything is done', async () => {
    const ends = await openSite(queue);
    const ids = await ends.submit(10);
    const worker = spawnHoldfast(['worker', '--drain', ...ends.flags]);
    expect(await worker.exited, worker.stderr).toEqual({ code: 0, signal: null });
    expect(await ends.report(ids)).toEqual(clean(10, 0));
    expect(await ends.left()).toEqual(nothingLeft);
  });
});
