import { wantedCalls } from '../engine/interpreter.ts';
import { isFinal, refOf } from '../engine/run.ts';
import type { Run } from '../engine/run.ts';
import type { Registry } from '../machines/registry.ts';
import type { Outage } from '../store/store.ts';
import { iso } from './output/time.ts';

export type Away = { readonly since: string; readonly nextProbeAt: string; readonly error: string };

/** What makes a run go on. An empty list: only an event from outside does. Null: nothing, it is final. */
export type WaitingFor =
  | readonly (
      | {
          readonly type: 'call';
          readonly call: string;
          readonly key: string;
          readonly attempt: number;
          /** Its receiver is away: the call is not made until a probe is answered. */
          readonly away: Away | null;
        }
      | { readonly type: 'timer'; readonly event: string; readonly until: string }
      /** A worker that knows this machine: it is not known here. */
      | { readonly type: 'machine'; readonly machine: string }
    )[]
  | null;

export const waitingForOf = (registry: Registry, run: Run, outages: readonly Outage[]): WaitingFor => {
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
    const outage = outages.find((one) => one.machine === run.machine && one.call === src);
    return {
      type: 'call' as const,
      call: machine.calls.get(id)?.name ?? src,
      key,
      attempt,
      away: outage ? awayOf(outage) : null,
    };
  });
  return [...calls, ...timers];
};

const awayOf = ({ since, nextProbeAt, error }: Outage): Away => ({
  since: iso(since),
  nextProbeAt: iso(nextProbeAt),
  error,
});
