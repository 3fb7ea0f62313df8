import type { Machine } from '../engine/machine.ts';
import type { Incident, Run, Step } from '../engine/run.ts';
import type { Delivery } from '../queue/queue.ts';
import type { Resumed } from '../store/store.ts';
import type { Request } from './intake.ts';

/** A message whose run is wanted, and since when it is in hand (ms, by the clock that nobody sets). */
export type DeliveryMail = {
  readonly type: 'delivery';
  readonly delivery: Delivery;
  readonly request: Request;
  readonly since: number;
  /** It was in hand before, and its run was let go of: its `redelivered` says nothing about who holds that now. */
  readonly again?: boolean;
};

/** What can come into a worker's inbox. */
export type Mail =
  | DeliveryMail
  | { readonly type: 'incident'; readonly run: string; readonly incident: Incident }
  | { readonly type: 'resumed'; readonly resumed: Resumed }
  /** Whoever posted it waits until it is reached. */
  | { readonly type: 'marker'; readonly reached: () => void }
  /** A person took the run. */
  | { readonly type: 'evicted'; readonly run: string }
  /** The run cannot go on from there: it fails with that reason. */
  | { readonly type: 'rejected'; readonly draft: Draft; readonly reason: string };

/** A run as a turn leaves it. */
export type Draft = {
  readonly id: string;
  readonly machine: Machine;
  /** The committed record, or null where the run is new. */
  readonly base: Run | null;
  /** For a new run: what it was started with. */
  readonly input: unknown;
  step: Step | undefined;
  readonly deliveries: DeliveryMail[];
  /** It comes from the store: calls that are in flight in `base` may have taken effect already. */
  readonly inDoubt: boolean;
};

/** Its step is committed, and its deliveries are in hand. */
export const brokenOff = (draft: Draft, reason: string): Mail => ({
  type: 'rejected',
  draft: { ...draft, base: draft.step?.run ?? draft.base, step: undefined, deliveries: [] },
  reason,
});
