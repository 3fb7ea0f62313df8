/**
 * A worker that fills its store with unfinished runs: the engine's own steps, committed by the store itself, and no
 * calls. What it holds is a dead worker's when it is killed. A process of its own.
 */
import { randomUUIDv7 } from 'node:crypto';
import { openStore } from '../src/cli/compose.ts';
import { answer } from './child.ts';
import { inputOf, machineRef } from './subject.ts';
import { openMachines, unfinished } from './unfinished.ts';
import type { Unfinished } from './unfinished.ts';

const atOnce = 500;
const { db, store } = openStore({ store: process.argv[2]!, lease: 15_000 });
const registry = await openMachines();
const worker = randomUUIDv7();
await store.prepare(registry.machines);
await store.join(worker);

answer({
  /** Returns the ids of the new runs. */
  make: async ({ count, how }: { count: number; how: Unfinished }): Promise<string[]> => {
    const machine = registry.get(machineRef)!;
    const ids = Array.from({ length: count }, () => randomUUIDv7());
    for (let from = 0; from < count; from += atOnce) {
      const steps = ids.slice(from, from + atOnce).map((id) => unfinished(machine, id, inputOf(id), how));
      const outcomes = await store.commit(
        worker,
        steps.map((step) => ({ ...step, expected: null })),
      );
      if (outcomes.some(({ type }) => type !== 'committed'))
        throw new Error('a new run could not be committed');
    }
    return ids;
  },
  stop: async () => {
    await store.leave(worker);
    db.close();
  },
});
