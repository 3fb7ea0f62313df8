import { wantedCalls } from '../engine/interpreter.ts';
import { isFinal, refOf } from '../engine/run.ts';
import type { Run } from '../engine/run.ts';
import type { Registry } from '../machines/registry.ts';
import { iso } from './output/time.ts';

/** What makes a run go on. An empty list: only an event from outside does. Null: nothing, it is final. */
export type WaitingFor =
  | readonly (
      | { readonly type: 'call'; readonly call: string; readonly key: string; readonly attempt: number }
      | { readonly type: 'timer'; readonly event: string; readonly until: string }
      /** A worker that knows this machine: it is not known here. */
      | { readonly type: 'machine'; readonly machine: string }
    )[]
  | null;

export const waitingForOf = (registry: Registry, run: Run): WaitingFor => {
  if (isFinal(run)) return null;
  const machine = registry.get(refOf(run));
  const timers = Object.entries(run.timers).map(([id, { at, event }]) => {
    const delay = machine?.delays.get(id);
    return {
      type: 'timer' as const,
      event: delay === undefined ? event.type : `after ${delay}`,
      until: iso(at),
    };
  });
  if (!machine) return [{ type: 'machine', machine: refOf(run) }, ...timers];
  const calls = wantedCalls(machine, run).map(({ id, src, key, attempt }) => {
    return { type: 'call' as const, call: machine.calls.get(id)?.name ?? src, key, attempt };
  });
  return [...calls, ...timers];
};
