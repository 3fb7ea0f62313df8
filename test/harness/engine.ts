import type { RemoteCall } from '../../src/engine/definition.ts';
import { toMachine } from '../../src/engine/machine.ts';
import type { Machine } from '../../src/engine/machine.ts';
import { wantedCalls } from '../../src/engine/interpreter.ts';
import type { CallResult, Clock, Incident, Run } from '../../src/engine/run.ts';
import type { RetryPolicy } from '../../src/engine/retry.ts';
import { createTodo } from '../../src/machines/create-todo.ts';

/** A clock that a test sets; its dice always show `random`. */
export const testClock = (
  now = Date.UTC(2026, 0, 1),
  random = 0.5,
): Clock & { at: number; dice: number } => ({
  at: now,
  dice: random,
  now() {
    return this.at;
  },
  random() {
    return this.dice;
  },
});

export const neverCalled: RemoteCall = {
  async perform() {
    throw new Error('a test of the engine performs no calls');
  },
};

export const todoMachine = (retry?: RetryPolicy): Machine =>
  toMachine(createTodo({ sendAlert: neverCalled, sendAudit: neverCalled }, retry));

export const ok = (output?: unknown): CallResult => ({ ok: true, output });

export const error = (
  message: string,
  details: { permanent?: boolean; retryAfter?: number } = {},
): CallResult => ({
  ok: false,
  message,
  permanent: false,
  ...details,
});

/** The answer to the one call that the run wants. */
export const answerTo = (machine: Machine, run: Run, result: CallResult): Incident => {
  const [call] = wantedCalls(machine, run);
  if (!call) throw new Error(`${run.state} wants no call`);
  return { type: 'answered', call: call.id, attempt: call.attempt, duration: 1, result };
};

/** The one timer of the run, due. */
export const dueOf = (run: Run): Incident => {
  const [timer] = Object.entries(run.timers);
  if (!timer) throw new Error(`${run.state} has no timer`);
  return { type: 'due', timer: timer[0], at: timer[1].at };
};
