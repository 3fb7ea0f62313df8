/** Runs that are not final, made by the engine alone. */
import { openCatalogue } from '../src/cli/compose.ts';
import { advance, start, wantedCalls } from '../src/engine/interpreter.ts';
import type { Machine } from '../src/engine/machine.ts';
import type { CallResult, Clock, Step } from '../src/engine/run.ts';
import type { Registry } from '../src/machines/registry.ts';

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

const clock: Clock = { now: Date.now, random: Math.random };

/** The machines, whose calls nobody performs. */
export const openMachines = (): Promise<Registry> => openCatalogue({ machines: [] } as never);

export const unfinished = (machine: Machine, id: string, input: unknown, how: Unfinished): Step => {
  let step = start(machine, id, input, clock);
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
