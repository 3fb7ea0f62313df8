/**
 * A worker that fills its store with unfinished runs: the engine's own steps, committed by the store itself, and no
 * calls. What it holds is a dead worker's when it is killed. A process of its own.
 */
import { randomUUIDv7 } from 'node:crypto';
import { openCatalogue, openStore } from '../src/cli/compose.ts';
import { advance, start, wantedCalls } from '../src/engine/interpreter.ts';
import type { Machine } from '../src/engine/machine.ts';
import type { CallResult, Clock, Step } from '../src/engine/run.ts';
import { answer } from './child.ts';
import { inputOf, machineRef } from './subject.ts';

/** `calling`: the alert is sent, the audit call is due at once. `waiting`: that call failed, to be tried in a day. */
export type Unfinished = 'calling' | 'waiting';

const day = 86_400_000;
const sent: CallResult = { ok: true, output: undefined, receipt: { stored: true } };
const refused: CallResult = {
  ok: false,
  message: 'the audit service answered HTTP 503',
  permanent: false,
  retryAfter: day,
  receipt: { status: 503 },
};
const answers: Record<Unfinished, readonly CallResult[]> = { calling: [sent], waiting: [sent, refused] };

const atOnce = 500;
const clock: Clock = { now: Date.now, random: Math.random };

const { db, store } = openStore({ store: process.argv[2]!, lease: 15_000 });
const registry = await openCatalogue({ machines: [] } as never);
const worker = randomUUIDv7();
await store.prepare(registry.machines);
await store.join(worker);

const unfinished = (machine: Machine, id: string, how: Unfinished): Step => {
  let step = start(machine, id, inputOf(id), clock);
  for (const result of answers[how]) {
    const [call] = wantedCalls(machine, step.run);
    const incident = {
      type: 'answered',
      call: call!.id,
      attempt: call!.attempt,
      duration: 1,
      result,
    } as const;
    const next = advance(machine, step.run, incident, clock)!;
    step = {
      run: next.run,
      transitions: [...step.transitions, ...next.transitions],
      writes: [...step.writes, ...next.writes],
    };
  }
  return step;
};

answer({
  /** Returns the ids of the new runs. */
  make: async ({ count, how }: { count: number; how: Unfinished }): Promise<string[]> => {
    const machine = registry.get(machineRef)!;
    const ids = Array.from({ length: count }, () => randomUUIDv7());
    for (let from = 0; from < count; from += atOnce) {
      const steps = ids.slice(from, from + atOnce).map((id) => unfinished(machine, id, how));
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
