import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { playBatch } from './batch.ts';
import { addReached, milestones, noneReached } from './milestones.ts';
import { checkApplies, faults, withFault } from './planted.ts';
import { failureLines } from './report.ts';
import { queueKinds } from './scenario.ts';
import { simulate } from './simulation.ts';

/** How long fresh seeds are tried, in ms. */
const freshMs = 45_000;

const broken = ({ failure }: Awaited<ReturnType<typeof playBatch>>): string =>
  failure ? failureLines(failure).join('\n') : '';

describe('the simulator', () => {
  test('plays the same history for the same seed, to the byte', async () => {
    const [first, again, other] = [
      await playBatch({ seed: 11, runs: 30 }),
      await playBatch({ seed: 11, runs: 30 }),
      await playBatch({ seed: 12, runs: 30 }),
    ];
    expect(again).toEqual(first);
    expect(other.hash).not.toBe(first.hash);
  });

  test(
    'finds every promise kept by the same seeds each time, in histories that come to all that may happen',
    { timeout: 60_000 },
    async () => {
      const ended = { done: 0, failed: 0, cancelled: 0 };
      const reached = noneReached();
      for (const seed of [1, 2, 3, 4]) {
        const result = await playBatch({ seed, runs: 1000 });
        expect(broken(result)).toBe('');
        expect(result.histories).toBe(1000);
        for (const status of ['done', 'failed', 'cancelled'] as const)
          ended[status] += result.ended[status] ?? 0;
        addReached(reached, result.reached);
      }
      expect(ended.done).toBeGreaterThan(ended.failed);
      expect(Math.min(ended.failed, ended.cancelled)).toBeGreaterThan(0);
      for (const queue of queueKinds)
        expect(
          milestones.filter((milestone) => reached[queue][milestone] === 0),
          queue,
        ).toEqual([]);
    },
  );

  test('finds every promise kept by fresh seeds', { timeout: 4 * freshMs }, async () => {
    const seed = Date.now() % 1_000_000_000;
    const result = await simulate({ seed, time: freshMs, jobs: 1, onProgress: () => {} });
    console.log(`simulated ${result.histories} histories from seed ${seed}`);
    expect(broken(result), `npm run simulate -- --seed ${seed}`).toBe('');
  });
});

describe('a planted fault', () => {
  test.for(faults())('$name can still be planted', (fault) => {
    expect(() => checkApplies(fault)).not.toThrow();
    expect(fault.says).toMatch(/^[A-Z].*\.$/);
  });

  test(
    'is caught, with the shortest history that shows it and the command to see it again',
    { timeout: 120_000 },
    () =>
      withFault(
        faults().find(({ name }) => name === 'mandatory-off')!,
        async (copy) => {
          const simulator = (...args: string[]) =>
            spawnSync(process.execPath, [path.join(copy, 'sim/main.ts'), ...args], { encoding: 'utf8' });
          const { status, stdout } = simulator('--seed', '1', '--runs', '500', '--jobs', '1');
          expect(status).toBe(1);
          expect(stdout).toContain('is done, and sendAlert never took effect');
          const [, again] = /^Again: npm run simulate -- (.*)$/m.exec(stdout)!;
          const replayed = simulator(...again!.split(' '));
          expect(replayed.status).toBe(1);
          expect(stdout).toContain(replayed.stdout.slice(replayed.stdout.indexOf('The shortest history')));
        },
      ),
  );
});
