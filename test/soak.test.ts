/** The soak itself: that it counts as the demo does, that a seed decides its faults, and a short one of each queue. */
import path from 'node:path';
import fc from 'fast-check';
import { describe, expect, inject, test } from 'vitest';
import { Counts, Effects, idsOf, judge } from '../soak/ledger.ts';
import { faultPlan } from '../soak/plan.ts';
import type { FaultType } from '../soak/plan.ts';
import { tallyOf } from '../src/cli/tally.ts';
import type { Effect } from '../src/cli/tally.ts';
import { spawnNode } from './harness/cli.ts';
import { tempDir } from './harness/tmp.ts';

const ids = idsOf('soak');

describe('the ledger', () => {
  const index = fc.integer({ min: 0, max: 5 });
  /** Under the expected key, under another one, or for a todo that nobody submitted. */
  const effectOf = (call: string): fc.Arbitrary<Effect> =>
    fc
      .tuple(index, fc.constantFrom('', '', '', '2'), fc.constantFrom('soak', 'soak', 'foreign'))
      .map(([number, suffix, prefix]) => {
        const todo = `${prefix}-${number}`;
        return { key: `${todo}/${call}${suffix}`, todo };
      });
  const counted = (indexes: readonly number[]): Counts => {
    const counts = new Counts();
    for (const number of indexes) counts.add(number);
    return counts;
  };
  const seen = (call: string, effects: readonly Effect[]): Effects => {
    const counter = new Effects(ids, call);
    for (const effect of effects) counter.note(effect);
    return counter;
  };

  test('counts what the tally of the demo counts, and names what is wrong', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(index),
        fc.array(index),
        fc.array(effectOf('sendAlert')),
        fc.array(effectOf('sendAudit')),
        (accepted, todos, alerts, audits) => {
          const [alertsSeen, auditsSeen] = [seen('sendAlert', alerts), seen('sendAudit', audits)];
          const verdict = judge(
            {
              accepted: counted(accepted),
              todos: counted(todos),
              alerts: alertsSeen.seen(),
              audits: auditsSeen.seen(),
            },
            ids,
          );
          const tally = tallyOf({ accepted: accepted.map(ids.of), todos: todos.map(ids.of), alerts, audits });
          expect(verdict.tally).toEqual(tally);
          expect([alertsSeen.distinct, auditsSeen.distinct]).toEqual([tally.alerts, tally.audits]);
          const { lost, phantom, doubled } = verdict;
          expect([lost.length, phantom.length, doubled.length]).toEqual([
            tally.lost,
            tally.phantom,
            tally.doubled,
          ]);
        },
      ),
      { numRuns: 2000 },
    );
  });

  test('knows its own ids', () => {
    expect(ids.index(ids.of(1_999_999))).toBe(1_999_999);
    for (const foreign of ['soak-', 'soak-1x', 'soak-01', 'sock-1', '1'])
      expect(ids.index(foreign)).toBeUndefined();
  });

  test('grows to two million todos in a few megabytes', () => {
    const counts = new Counts();
    counts.add(2_000_000);
    expect(counts.at(2_000_000)).toBe(1);
    expect(counts.at(1_999_999)).toBe(0);
    expect(counts.bytes.byteLength).toBeLessThan(4_000_002);
  });
});

describe('the plan of faults', () => {
  const types = new Set<FaultType>(['kill', 'pause', 'broker', 'receiver', 'disk']);
  const planOf = (seed: number) => faultPlan({ seed, seconds: 600, workers: 3, types });

  test('is decided by its seed', () => {
    expect(planOf(7)).toEqual(planOf(7));
    expect(planOf(7)).not.toEqual(planOf(8));
  });

  test('kills a worker every few seconds, the broker every minute, and fills the disk once', () => {
    const count = (type: FaultType) => planOf(7).filter((fault) => fault.type === type).length;
    expect(count('kill') + count('pause')).toBeGreaterThan(600 / 5);
    expect(count('pause')).toBeGreaterThan(10);
    expect(count('broker')).toBeGreaterThan(8);
    expect(count('receiver')).toBeGreaterThan(600 / 20);
    expect(count('disk')).toBe(1);
  });

  test('leaves out what cannot be done', () => {
    const left = faultPlan({ seed: 7, seconds: 600, workers: 3, types: new Set(['disk']) });
    expect(left.map(({ type }) => type)).toEqual(['disk']);
  });
});

test.for([
  ['embedded', 'embedded'],
  ['RabbitMQ', inject('amqpUrl')],
] as const)('a soak of three seconds loses nothing, on %s', { timeout: 60_000 }, async ([, queue]) => {
  const flags = ['--minutes', '0.05', '--rate', '50', '--workers', '2', '--seed', '7', '--dir', tempDir()];
  const main = path.join(import.meta.dirname, '../soak/main.ts');
  const soak = spawnNode([main, ...flags, '--queue', queue, '-o', 'json']);
  expect(await soak.exited, soak.stderr).toEqual({ code: 0, signal: null });
  const { tally, faults } = JSON.parse(soak.stdout) as {
    tally: { accepted: number };
    faults: Record<FaultType, number>;
  };
  const { accepted } = tally;
  expect(accepted).toBeGreaterThan(20);
  expect(tally).toMatchObject({
    todos: accepted,
    alerts: accepted,
    audits: accepted,
    lost: 0,
    phantom: 0,
    doubled: 0,
  });
  expect(faults.kill + faults.pause).toBeGreaterThan(0);
  expect(faults.receiver).toBeGreaterThan(0);
});
