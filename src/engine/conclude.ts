/** What a move makes of a record: the next one, with its timers and attempts, and a row of its history. */
import type { Moved, Position } from './chart.ts';
import type { Run, Step, Timer, Transition } from './run.ts';

/** What made a run move. */
export type Cause = Pick<Transition, 'at' | 'event'> & Partial<Transition>;

/** A step that goes on: the record's snapshot is where it began, and its position where it is. */
export type Progress = Step & { readonly position: Position };

/** The record after a move: timers and attempts follow what the move asked for. */
export const conclude = (before: Run, moved: Moved, cause: Cause): Progress => {
  const failed = moved.status === 'failed';
  const timers = moved.status === 'active' ? timersAfter(before.timers, moved, cause.at) : {};
  const run: Run = {
    ...before,
    seq: before.seq + 1,
    status: moved.status,
    state: moved.state,
    timers,
    attempts: attemptsAfter(before.attempts, moved),
    dueAt: moved.callsInFlight > 0 ? null : earliest(timers),
    reason: failed ? (cause.error ?? null) : before.reason,
    failedIn: failed ? before.state : null,
    updatedAt: cause.at,
  };
  return { run, position: moved.position, transitions: [historyRow(before, run, cause)], writes: [] };
};

/** The farthest that a Date can be, in ms since the epoch: nobody could be told of a later one. */
const lastTime = 8.64e15;

/** A delay that is no number would be a timer that never rings. */
const dueAt = (now: number, delay: number): number => {
  const at = now + Math.ceil(delay);
  if (!(Math.abs(at) <= lastTime)) throw new Error(`a delay is ${delay} ms`);
  return at;
};

const timersAfter = (before: Run['timers'], { requests }: Moved, now: number): Run['timers'] => {
  const timers: Record<string, Timer> = { ...before };
  for (const request of requests) {
    if (request.type === 'timer')
      timers[request.id] = { at: dueAt(now, request.delay), event: request.event };
    if (request.type === 'cancelTimer') delete timers[request.id];
  }
  return timers;
};

const earliest = (timers: Run['timers']): number | null => {
  const times = Object.values(timers).map(({ at }) => at);
  return times.length > 0 ? Math.min(...times) : null;
};

const attemptsAfter = (before: Run['attempts'], { requests }: Moved): Run['attempts'] => {
  const attempts = { ...before };
  for (const { type, id } of requests) if (type === 'call') attempts[id] = (attempts[id] ?? 0) + 1;
  return attempts;
};

export const historyRow = (
  before: Run,
  after: Run,
  { at, event, duration, attempt, error, receipt }: Cause,
): Transition => ({
  seq: after.seq,
  at,
  event,
  from: before.state || null,
  to: after.state,
  duration: duration ?? null,
  attempt: attempt ?? null,
  error: error ?? null,
  receipt: receipt ?? null,
});
