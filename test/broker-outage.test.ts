/** Brokers and receivers that go away, hang, and come back, with todos flowing. */
import { setTimeout as delay } from 'node:timers/promises';
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, inject, onTestFinished, test } from 'vitest';
import { openQueue } from '../src/cli/compose.ts';
import { quiet } from '../src/cli/log.ts';
import { QueueError } from '../src/queue/queue.ts';
import { startBroker } from '../src/cli/broker/broker.ts';
import type { Broker } from '../src/cli/broker/broker.ts';
import { holdfast, spawnHoldfast } from './harness/cli.ts';
import type { CliProcess } from './harness/cli.ts';
import { away, clean, emptied, gate, nothingLeft, openEnds } from './harness/ends.ts';
import type { Ends, EndsOptions } from './harness/ends.ts';
import { tempDir } from './harness/tmp.ts';

const open = async (queue: string, options: Partial<EndsOptions> = {}): Promise<Ends> => {
  const folder = tempDir();
  const ends = await openEnds({ queue, folder, ...options });
  onTestFinished(() => ends.close());
  return ends;
};

const fast = ['--retry-base', '50ms', '--retry-cap', '500ms'];

const startWorker = async (ends: Ends, flags: string[] = []): Promise<CliProcess> => {
  const worker = spawnHoldfast(['worker', ...ends.flags, ...fast, ...flags]);
  await worker.waitForLine(/the worker runs/);
  return worker;
};

const leave = async (worker: CliProcess): Promise<void> => {
  worker.kill('SIGTERM');
  expect(await worker.exited, worker.stderr).toEqual({ code: 0, signal: null });
};

/** Submits all the time. What is not accepted is submitted again under the same id, as a person would. */
const startLoad = (ends: Ends) => {
  const { queue, close } = openQueue(ends.settings, quiet);
  const accepted: string[] = [];
  const refusals: QueueError[] = [];
  const news = new Set<() => void>();
  const stopping = new AbortController();
  const submitOne = async (): Promise<void> => {
    const id = randomUUID();
    for (;;) {
      try {
        await queue.publish({ id, machine: 'create-todo@1', body: Buffer.from('{"title":"load"}') });
        accepted.push(id);
        return;
      } catch (error) {
        if (!(error instanceof QueueError)) throw error;
        refusals.push(error);
        await delay(20); // a client's own pace
      } finally {
        for (const tell of news) tell();
      }
    }
  };
  const client = async () => {
    while (!stopping.signal.aborted) {
      await submitOne();
      await delay(5);
    }
  };
  const clients = Promise.all(Array.from({ length: 4 }, client));
  return {
    accepted,
    refusals,
    /** Resolves when this many more were accepted. */
    more: async (count: number): Promise<void> => {
      const goal = accepted.length + count;
      const reached = Promise.withResolvers<void>();
      const look = () => accepted.length >= goal && reached.resolve();
      news.add(look);
      look();
      await Promise.race([reached.promise, clients]);
      news.delete(look);
    },
    stop: async (): Promise<string[]> => {
      stopping.abort();
      await clients;
      await close();
      return accepted;
    },
  };
};

describe('a broker', () => {
  let broker: Broker;
  beforeAll(async () => {
    broker = await startBroker();
  });
  afterAll(() => broker.dispose());

  test.for(['stop', 'kill'] as const)(
    'that goes (%s) under load and comes back loses nothing',
    { timeout: 90_000 },
    async (end) => {
      const ends = await open(broker.url);
      const worker = await startWorker(ends);
      const load = startLoad(ends);
      await load.more(100);
      await broker.settle();
      await broker[end]();
      await worker.waitForLine(/was lost|ECONNREFUSED/);
      await broker.start();
      await load.more(100);
      const ids = await load.stop();
      await ends.untilFinal(ids.length, 40_000);
      await leave(worker);
      await emptied(ends);
      const report = await ends.report(ids);
      expect(report).toEqual(clean(ids.length, report.tally.repeats));
      expect(await ends.left()).toEqual(nothingLeft);
    },
  );

  test(
    'that is away holds up neither a worker that starts nor what the store holds',
    { timeout: 90_000 },
    async () => {
      const held = gate();
      let isOver = false;
      const ends = await open(broker.url, { onAudit: () => (isOver ? undefined : held.pass()) });
      const doomed = await startWorker(ends);
      const ids = await ends.submit(10);
      await held.arrived(10);
      doomed.kill('SIGKILL');
      await doomed.exited;
      isOver = true;
      held.open();
      await broker.settle();
      await broker.stop();
      const worker = await startWorker(ends);
      await ends.untilFinal(10);
      await broker.start();
      await worker.waitForLine(/connected to RabbitMQ/, { timeout: 20_000 });
      const more = await ends.submit(10);
      await ends.untilFinal(20);
      await leave(worker);
      await emptied(ends);
      expect(await ends.report([...ids, ...more])).toEqual(clean(20, 10));
      expect(await ends.left()).toEqual(nothingLeft);
    },
  );

  test('that is away accepts nothing, and says so in bounded time', { timeout: 90_000 }, async () => {
    const ends = await open(broker.url);
    await broker.stop();
    const asked = performance.now();
    const { code, stdout, stderr } = await holdfast(['submit', 'Buy milk', ...ends.queueFlags]);
    expect(performance.now() - asked).toBeLessThan(15_000);
    expect({ code, stdout }).toEqual({ code: 69, stdout: '' });
    expect(stderr.trimEnd().split('\n')).toHaveLength(1);
    expect(stderr).toMatch(/not accepted/);
    expect(stderr).not.toContain('guest:guest');
    await broker.start();
    const worker = await startWorker(ends);
    const ids = await ends.submit(1);
    await ends.untilFinal(1);
    await leave(worker);
    expect(await ends.report(ids)).toEqual(clean(1, 0));
  });
});

const queues = [
  ['embedded', 'embedded'],
  ['RabbitMQ', inject('amqpUrl')],
] as const;

describe.for(queues)('an audit service, with the queue on %s,', ([, queue]) => {
  test(
    'that is away lets new todos flow, and gets them all when it is back',
    { timeout: 90_000 },
    async () => {
      const count = 50;
      let isAway = true;
      const onAudit = () => {
        if (isAway) throw away();
      };
      // A short lap would bring what was handed back again and again while it is away.
      const ends = await open(queue, { onAudit, settings: { concurrency: 8, lap: 5000 } });
      const worker = await startWorker(ends);
      const ids = await ends.submit(count);
      await ends.until(
        `${count} todos had reached the audit`,
        (_store, db) => {
          const reached = db.all(`SELECT DISTINCT run FROM history WHERE to_state = 'retryingAudit'`);
          return reached.length === count;
        },
        60_000,
      );
      expect(await ends.alerts()).toHaveLength(count);
      isAway = false;
      await ends.untilFinal(count);
      await leave(worker);
      const report = await ends.report(ids);
      expect(report).toEqual(clean(count, report.tally.repeats));
      expect(worker.stderr).not.toMatch(/"level":50/);
    },
  );

  test('that never answers does not hold up the alerts of others', { timeout: 90_000 }, async () => {
    const count = 30;
    const never = gate();
    let isOver = false;
    const ends = await open(queue, {
      onAudit: () => (isOver ? undefined : never.pass()),
      settings: { concurrency: 8, lap: 5000 },
    });
    const worker = await startWorker(ends, ['--call-timeout', '500ms']);
    const ids = await ends.submit(count);
    await ends.until(
      `${count} alerts were sent`,
      (_store, db) => {
        const sent = db.all(`SELECT DISTINCT run FROM history WHERE event = 'sendAlert done'`);
        return sent.length === count;
      },
      40_000,
    );
    isOver = true;
    never.open();
    await ends.untilFinal(count);
    await leave(worker);
    const report = await ends.report(ids);
    expect(report).toEqual(clean(count, report.tally.repeats));
  });
});
