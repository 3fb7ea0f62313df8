/** What a broker limits, shortened until it strikes: nothing accepted is lost, and whoever waits keeps nobody waiting. */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { startBroker } from '../src/cli/broker/broker.ts';
import type { Broker } from '../src/cli/broker/broker.ts';
import { openQueue } from '../src/cli/compose.ts';
import { quiet } from '../src/cli/log.ts';
import { holdfast } from './harness/cli.ts';
import { away, clean, emptied, gate, nothingLeft } from './harness/ends.ts';
import type { Ends, EndsOptions } from './harness/ends.ts';
import { tempDir } from './harness/tmp.ts';
import { leave, openSite, startWorker } from './harness/worker.ts';

let broker: Broker;
beforeAll(async () => {
  broker = await startBroker();
});
afterAll(() => broker.dispose());

const open = (options: Partial<EndsOptions> = {}): Promise<Ends> => openSite(broker.url, options);

/** Every accepted one is done, once, and no message is left. Attempts that were cut off may have been repeated. */
const expectAllDone = async (ends: Ends, ids: string[]): Promise<void> => {
  await emptied(ends);
  const report = await ends.report(ids);
  expect(report).toEqual(clean(ids.length, report.tally.repeats));
  expect(await ends.left()).toEqual(nothingLeft);
};

/** Resolves when so many messages are on a lap. A broker tells nobody, so it is asked. */
const untilWaiting = async (ends: Ends, count: number): Promise<void> => {
  for (let waiting = 0; waiting < count; { waiting } = await ends.left()) await delay(20);
};

/** For channels and queues that are opened from now on, in ms. */
const setLimits = async (limits: Record<string, number>): Promise<void> => {
  const calls = Object.entries(limits).map(
    ([name, value]) => `application:set_env(rabbit, ${name}, ${value})`,
  );
  await broker.ctl('eval', `${calls.join(', ')}.`);
};

/** What an operator sets for all queues of this test that match. */
const setPolicy = async (ends: Ends, queues: string, definition: Record<string, number>): Promise<void> => {
  const pattern = `^${ends.settings.prefix}\\.(${queues})$`;
  await broker.ctl('set_policy', '--apply-to', 'queues', 'limit', pattern, JSON.stringify(definition));
  onTestFinished(async () => void (await broker.ctl('clear_policy', 'limit').catch(() => {})));
};

describe('a broker that is killed', () => {
  test(
    'while thousands of messages are handed to the waiting queue loses none of them',
    { timeout: 180_000 },
    async () => {
      const count = 2000;
      let isAway = true;
      const onAudit = () => {
        if (isAway) throw away();
      };
      const ends = await open({ onAudit, settings: { concurrency: count, lap: 5000 } });
      const worker = await startWorker(ends, ['--retry-base', '10s', '--retry-cap', '20s']);
      await worker.waitForLine(/connected to RabbitMQ/);
      await broker.settle();
      const ids = await ends.submit(count);
      await untilWaiting(ends, 50);
      const { waiting } = await ends.left();
      expect(waiting).toBeLessThan(count); // in the midst of it
      await broker.kill();
      await broker.start();
      isAway = false;
      await ends.untilFinal(count, 90_000);
      await leave(worker);
      await expectAllDone(ends, ids);
    },
  );
});

describe('an ack time-out', () => {
  test('that strikes while calls go on repeats none of them', { timeout: 90_000 }, async () => {
    await setLimits({ consumer_timeout: 1000, channel_tick_interval: 200 });
    onTestFinished(() => setLimits({ consumer_timeout: 1_800_000, channel_tick_interval: 60_000 }));
    const count = 20;
    const held = gate();
    const ends = await open({ onAudit: held.pass });
    const worker = await startWorker(ends, ['--call-timeout', '60s']);
    const ids = await ends.submit(count);
    await held.arrived(count);
    await worker.waitForLine(/was lost \(.*timed out/, { timeout: 30_000 });
    held.open();
    await ends.untilFinal(count);
    await leave(worker);
    await emptied(ends);
    expect(await ends.report(ids)).toEqual(clean(count, 0));
    expect(await ends.left()).toEqual(nothingLeft);
  });
});

describe('a delivery limit', () => {
  test('that an operator sets low takes no message out of the cycle', { timeout: 90_000 }, async () => {
    const count = 10;
    const held = gate();
    const ends = await open({ onAudit: held.pass });
    await setPolicy(ends, 'runs|waiting', { 'delivery-limit': 1 });
    const worker = await startWorker(ends, ['--call-timeout', '60s']);
    const ids = await ends.submit(count);
    await held.arrived(count);
    // At every cut it comes back to the worker's hands, until the limit strikes and the broker dead-letters it.
    for (let { waiting } = await ends.left(); waiting < count; { waiting } = await ends.left())
      await broker.ctl('close_all_connections', 'a test');
    held.open();
    await ends.untilFinal(count);
    await leave(worker);
    await expectAllDone(ends, ids);
  });
});

describe('a time-to-live', () => {
  test('that an operator sets for the waiting queue shortens the lap', { timeout: 90_000 }, async () => {
    const count = 10;
    let isAway = true;
    const onAudit = () => {
      if (isAway) throw away();
    };
    const ends = await open({ onAudit, settings: { lap: 3_600_000 } });
    await setPolicy(ends, 'waiting', { 'message-ttl': 300 });
    const worker = await startWorker(ends, ['--retry-base', '10s', '--retry-cap', '20s']);
    const ids = await ends.submit(count);
    await untilWaiting(ends, 1);
    isAway = false;
    await ends.untilFinal(count, 60_000);
    await leave(worker);
    await expectAllDone(ends, ids);
  });
});

/** A machine of a user's whose runs wait for two hours. */
const patientMachine = (): string => {
  const file = path.join(tempDir(), 'patient.ts');
  writeFileSync(
    file,
    `import { setup } from '${import.meta.resolve('xstate')}';
     import { z } from '${import.meta.resolve('zod')}';
     const machine = setup({ delays: { long: () => 7_200_000 } }).createMachine({
       id: 'patient',
       version: '1',
       on: { cancel: '.cancelled' },
       initial: 'resting',
       states: { resting: { after: { long: 'done' } }, done: { type: 'final' }, cancelled: { type: 'final' } },
     });
     export const patient = { machine, input: z.object({}) };`,
  );
  return file;
};

const submitPatients = async (ends: Ends, ids: string[]): Promise<void> => {
  const { queue, close } = openQueue(ends.settings, quiet);
  const body = Buffer.from('{}');
  await Promise.all(ids.map((id) => queue.publish({ id, machine: 'patient@1', body })));
  await close();
};

describe('runs that wait for hours', () => {
  test('stay in the broker lap after lap, and others take their places', { timeout: 90_000 }, async () => {
    const places = 8;
    const patients = Array.from({ length: 5 * places }, (_, index) => `patient-${index}`);
    const file = patientMachine();
    const machines = ['--machines', file];
    const ends = await open({ settings: { concurrency: places, lap: 300, machines: [file] } });
    const worker = await startWorker(ends, machines);
    await submitPatients(ends, patients);
    await ends.untilIn('resting', patients.length);
    const ids = await ends.submit(50);
    await ends.untilFinal(ids.length);
    for (let lap = 1; lap <= 3; lap += 1) await untilWaiting(ends, patients.length);
    await leave(worker);
    const inBroker = async () => {
      const { ready, waiting } = await ends.left();
      return ready + waiting;
    };
    await expect.poll(inBroker, { timeout: 10_000 }).toBe(patients.length);
    const { code, stderr } = await holdfast([
      'cancel',
      ...patients,
      '--store',
      ends.settings.store,
      ...machines,
    ]);
    expect(code, stderr).toBe(0);
    await expectAllDone(ends, ids);
  });
});
