/** Each benchmark with sizes that say nothing about speed: that it runs to its end, and that its figures add up. */
import { copyFileSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, inject, onTestFinished, test, vi } from 'vitest';
import { fillFinished } from '../bench/filled.ts';
import { whyNotHeld } from '../bench/latency.ts';
import { openMachines, unfinished } from '../bench/unfinished.ts';
import { openStore } from '../src/cli/compose.ts';
import { advance, wantedCalls } from '../src/engine/interpreter.ts';
import type { Incident } from '../src/engine/run.ts';
import { spawnNode } from './harness/cli.ts';
import { tempDir } from './harness/tmp.ts';

vi.setConfig({ testTimeout: 120_000 }); // each starts a dozen processes

const main = path.resolve(import.meta.dirname, '../bench/main.ts');

const bench = async (...args: string[]): Promise<string> => {
  const run = spawnNode([main, ...args], { env: { HOLDFAST_BENCH_AMQP_URL: inject('amqpUrl') } });
  const { code } = await run.exited;
  expect(code, run.stderr).toBe(0);
  return run.stdout;
};

/** What a benchmark prints as JSON, for a command line as a person writes it. */
const figuresOf = async <Figures>(command: string): Promise<Figures> =>
  JSON.parse(await bench(...command.split(' '), '-o', 'json')) as Figures;

type Spread = { min: number; median: number; max: number; rounds: number[] };

describe('bench throughput', () => {
  type Subject = { perSecond: Spread; ratioToFloor: Spread; perTodo: Record<string, Spread> };
  type Figures = {
    ratioToFloor: number;
    cpuRatioToFloor: number;
    embeddedRatioToRabbitMQ: number;
    subjects: Record<'floor' | 'naive' | 'holdfast' | 'embedded', Subject>;
    machine: object;
    settings: object;
  };

  test('measures the floor, the floor with an INSERT, and Holdfast on both queues', async () => {
    const args = '--rounds 2 --todos 100 --warmup 50 --in-flight 16';
    const { subjects, machine, settings, ...ratios } = await figuresOf<Figures>(`throughput ${args}`);
    const { floor, naive, holdfast, embedded } = subjects;
    expect(settings).toMatchObject({ rounds: 2, todos: 100, warmup: 50, inFlight: 16 });
    expect(machine).toMatchObject({ node: process.versions.node, cores: expect.any(Number) as number });
    expect(ratios).toMatchObject({ bench: 'throughput', ratioToFloor: holdfast.ratioToFloor.median });
    for (const round of [0, 1]) {
      const rate = (subject: Subject) => subject.perSecond.rounds[round]!;
      expect(holdfast.ratioToFloor.rounds[round]).toBe(rate(holdfast) / rate(floor));
      expect(rate(embedded)).toBeGreaterThan(0);
    }
    // An INSERT is a commit, and every commit is an fsync: of 100 todos, those in hand when the clock began are missing.
    expect(naive.perTodo['commits']!.min).toBeGreaterThan(0.5);
    expect(naive.perTodo['fsyncs']!.min).toBeGreaterThan(naive.perTodo['commits']!.min - 0.05); // not read at one time
    expect(floor.perTodo['fsyncs']!.max).toBe(0);
    expect(floor.perTodo).not.toHaveProperty('commits');
    expect(embedded.perTodo).not.toHaveProperty('broker cpu');
  });
});

describe('bench latency', () => {
  type Distribution = { p50: Spread; p90: Spread; p99: Spread; max: Spread; p999?: number };
  type Subject = { done: Distribution; audit: Distribution; notHeld: string[] };
  type Rate = { rate: number; p50RatioToFloor?: Spread; subjects: Record<'floor' | 'holdfast', Subject> };

  test('measures until done, and until the last effect, at each rate', async () => {
    const load = '--rounds 1 --seconds 1 --warmup 20 --in-flight 16';
    const { rates } = await figuresOf<{ rates: Rate[] }>(`latency ${load} --rates 10 20`);
    expect(rates.map(({ rate }) => rate)).toEqual([10, 20]);
    for (const { subjects } of rates)
      for (const { done, audit } of Object.values(subjects)) {
        expect(done.p50.median).toBeGreaterThan(audit.p50.median); // the audit entry comes before
        expect(done.p99.median).toBeGreaterThanOrEqual(done.p90.median);
        expect(done).not.toHaveProperty('p999'); // of 20 todos it would be the slowest one
      }
    const { p50RatioToFloor, subjects } = rates[0]!;
    expect(p50RatioToFloor!.median).toBe(subjects.holdfast.done.p50.median / subjects.floor.done.p50.median);
  });

  test.each([
    [0, 25, 50, undefined],
    [0, 26, 50, '26 were not done when the last one was sent'],
    [0, 10, 10, undefined],
    [501, 0, 50, 'the load generator sent the last one 501 ms late'],
  ])('%d ms late, with %d behind at %d/s: %s', (late, backlog, rate, why) => {
    expect(whyNotHeld(late, backlog, rate)).toBe(why);
  });
});

describe('bench slow-disk', () => {
  type Row = {
    name: string;
    delay: number;
    perSecond: Spread;
    ratioToNoDelay: Spread;
    fsyncsPerTodo: Spread;
  };

  test('delays the fsyncs of the worker, and of nobody else', async () => {
    const args = '--rounds 1 --todos 40 --warmup 10 --in-flight 4 --delays 20';
    const { rows } = await figuresOf<{ rows: Row[] }>(`slow-disk ${args}`);
    const row = (name: string, delay: number) =>
      rows.find((one) => one.name === name && one.delay === delay)!;
    for (const name of ['holdfast', 'embedded']) {
      const slow = row(name, 20);
      // No todo is done sooner than the fsyncs that it waited for.
      const fsyncsPerSecond = slow.fsyncsPerTodo.median * slow.perSecond.median;
      expect(fsyncsPerSecond).toBeGreaterThan(0);
      expect(fsyncsPerSecond).toBeLessThan(1000 / 20);
      expect(slow.ratioToNoDelay.median).toBe(slow.perSecond.median / row(name, 0).perSecond.median);
    }
    expect(row('floor', 20).fsyncsPerTodo.max).toBe(0);
  });
});

describe('bench waiting', () => {
  type Queue = { perSecondNone: Spread; perSecondWaiting: Spread; ratioToNone: Spread; heapPerRun: Spread };

  test('measures new todos beside runs that wait and are still there at the end', async () => {
    const args = '--rounds 1 --todos 50 --warmup 20 --waiting 1000';
    const { queues } = await figuresOf<{ queues: Record<string, Queue> }>(`waiting ${args}`);
    for (const name of ['holdfast', 'embedded']) {
      const { perSecondNone, perSecondWaiting, ratioToNone, heapPerRun } = queues[name]!;
      expect(ratioToNone.median).toBe(perSecondWaiting.median / perSecondNone.median);
      expect(Math.abs(heapPerRun.median)).toBeLessThan(2000); // of so few, some hundred bytes are chance
    }
  });
});

describe('bench growth', () => {
  type Size = { size: number; perSecond: Spread; ratioToSmallest: Spread; census: Spread; fileBytes: number };

  test('measures stores with more and more finished runs', async () => {
    const load = '--rounds 1 --todos 40 --warmup 10 --unfinished 20 --rate 20 --seconds 1';
    const { sizes, ratioToSmallest } = await figuresOf<{ sizes: Size[]; ratioToSmallest: number }>(
      `growth ${load} --sizes 50 2000`,
    );
    const [small, large] = sizes as [Size, Size];
    expect([small.size, large.size]).toEqual([50, 2000]);
    expect(ratioToSmallest).toBe(large.perSecond.median / small.perSecond.median);
    expect(large.fileBytes).toBeGreaterThan(small.fileBytes + 1950 * 1000); // a run has more than a kilobyte
  });

  test('fills a store with runs that differ from a real one in their id and their time only', async () => {
    const file = path.join(tempDir(), 'store.db');
    const machine = (await openMachines()).get('create-todo@1')!;
    const { db, store } = openStore({ store: file, lease: 1000 });
    onTestFinished(() => db.close());
    await store.prepare([machine]);
    await store.join('a');
    const begun = unfinished(machine, 'real', { title: 'Buy milk' }, 'calling');
    await store.commit('a', [{ ...begun, expected: null }]);
    const answer = {
      type: 'answered',
      call: wantedCalls(machine, begun.run)[0]!.id,
      attempt: 1,
      duration: 1,
    };
    const incident = { ...answer, result: { ok: true, output: undefined } } as Incident;
    const end = advance(machine, begun.run, incident, { now: Date.now, random: Math.random })!;
    await store.commit('a', [{ ...end, expected: begun.run.seq }]);

    const alert = (id: string) => ({ key: `${id}/sendAlert`, event: `{"subject":"${id}"}` });
    await db.write(
      () => void db.run('INSERT INTO alerts (key, at, event) VALUES (:key, 0, :event)', alert('real')),
    );

    await fillFinished(file, 11);
    expect(await store.census()).toMatchObject([{ status: 'done', count: 11 }]);
    const real = (await store.get('real'))!;
    const timeless = (value: unknown, id: string) =>
      JSON.parse(
        JSON.stringify(value, (key, inner: unknown) => (key === 'at' || key.endsWith('At') ? 'then' : inner))
          .replaceAll(id, 'real')
          .replaceAll(/\d{4}-[^"\\]*Z/g, 'then'),
      ) as unknown;
    for (const run of await store.list({ limit: 11 })) {
      expect(timeless(run, run.id)).toEqual(timeless(real, 'real'));
      expect(timeless(await store.history(run.id), run.id)).toEqual(
        timeless(await store.history('real'), 'real'),
      );
      expect(db.get('SELECT title FROM todos WHERE id = :id', { id: run.id })).toEqual({ title: 'Buy milk' });
      expect(db.get('SELECT key, event FROM alerts WHERE key = :key', alert(run.id))).toEqual(alert(run.id));
    }
  });
});

describe('bench resume', () => {
  type Queue = Record<
    'start' | 'firstCall' | 'allTakenUp' | 'allCalled' | 'peakMemoryMiB' | 'peakMemoryTakenUpMiB',
    Spread
  >;

  test('measures how the runs of a killed worker go on', async () => {
    const { queues } = await figuresOf<{ queues: Record<string, Queue> }>(
      'resume --rounds 1 --runs 300 --in-flight 16',
    );
    for (const name of ['holdfast', 'embedded']) {
      const { start, firstCall, allTakenUp, allCalled, peakMemoryMiB, peakMemoryTakenUpMiB } = queues[name]!;
      expect(start.median).toBeGreaterThan(0);
      expect(firstCall.median).toBeLessThan(allCalled.median);
      expect(allTakenUp.median).toBeLessThanOrEqual(allCalled.median + 1);
      expect(peakMemoryTakenUpMiB.median).toBeLessThanOrEqual(peakMemoryMiB.median);
    }
  });
});

test('bench cpu measures each stage with all that come before it', async () => {
  type Figures = { usPerTodo: Record<'xstate' | 'engine' | 'loop' | 'store', Spread> };
  const args = '--rounds 3 --todos 4000 --warmup 2000 --in-flight 64';
  const { usPerTodo } = await figuresOf<Figures>(`cpu ${args}`);
  const { xstate, engine, store } = usPerTodo;
  expect(xstate.min).toBeGreaterThan(0);
  expect(engine.median).toBeGreaterThan(xstate.median);
  expect(store.median).toBeGreaterThan(engine.median); // the loop is near the engine, and a busy machine may blur it
});

test('bench page writes the tables and the pictures of what was saved, the same each time', async () => {
  const folder = tempDir();
  const figures = path.join(folder, 'figures');
  const page = path.join(folder, 'performance.md');
  copyFileSync(path.resolve(import.meta.dirname, '../docs/performance.md'), page);
  const load = '--rounds 1 --seconds 1 --warmup 10 --in-flight 16 --rates 20';
  const printed = await bench('latency', ...load.split(' '), '--save', figures);
  await bench('page', '--page', page, '--figures', figures);
  const written = readFileSync(page, 'utf8');
  expect(written).toContain(`\`\`\`\n${printed}\`\`\``);
  expect(written).toContain('There are no figures in `figures/growth.json` yet.');
  expect(readFileSync(path.join(figures, 'latency.svg'), 'utf8')).toMatch(/^<svg [^]*p99, ms[^]*<\/svg>\n$/);
  await bench('page', '--page', page, '--figures', figures);
  expect(readFileSync(page, 'utf8')).toBe(written);
});
