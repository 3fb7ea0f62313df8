/**
 * How a run advances. Pure: a record and what happened go in, the next record, its history and its writes
 * come out. Local calls are answered on the spot, so that they chain inside one transaction.
 */
import {
  asRestored,
  children,
  enter,
  findChild,
  move,
  reenter,
  restore,
  textOf,
  withoutChild,
} from './chart.ts';
import type { Child, Position } from './chart.ts';
import { conclude, historyRow } from './conclude.ts';
import type { Progress } from './conclude.ts';
import { failure, messageOf } from './errors.ts';
import { callKey, fingerprint } from './identity.ts';
import type { Machine } from './machine.ts';
import type { CallError } from './retry.ts';
import type { Call, CallResult, Clock, Incident, Run, Step, Write } from './run.ts';
import { isFinal } from './run.ts';

/** More local calls than this in one step is a loop. */
const longestChain = 1000;

/** `input` is what was submitted. @throws what its schema or the machine throws for it: there is no run then. */
export const start = (machine: Machine, id: string, input: unknown, clock: Clock): Step =>
  chain(machine, begin(machine, id, input, clock), clock);

/** A run that begins and fails at once, so that its submission is not lost when its first step cannot be kept. */
export const startFailed = (
  machine: Machine,
  id: string,
  input: unknown,
  reason: string,
  clock: Clock,
): Step => {
  const first = kept(begin(machine, id, input, clock));
  return joined(first, fail(first.run, reason, clock));
};

const begin = (machine: Machine, id: string, input: unknown, clock: Clock): Progress => {
  const at = clock.now();
  const blank: Run = {
    id,
    machine: machine.id,
    version: machine.version,
    seq: 0,
    status: 'active',
    state: '',
    snapshot: '',
    timers: {},
    attempts: {},
    dueAt: null,
    input: JSON.stringify(input),
    fingerprint: fingerprint(machine.id, input),
    reason: null,
    failedIn: null,
    createdAt: at,
    updatedAt: at,
  };
  return conclude(blank, enter(machine.chart, { id, at, input: machine.input.parse(input) }), {
    at,
    event: 'start',
  });
};

/**
 * The step that an incident causes, or nothing when it no longer matters: an answer to a call that is not
 * wanted any more, a timer that was cancelled, a run that is final.
 * A machine that throws fails its own run, and no other.
 */
export const advance = (machine: Machine, run: Run, incident: Incident, clock: Clock): Step | undefined => {
  if (isFinal(run)) return undefined;
  try {
    const step = react(machine, run, incident, clock);
    return step && chain(machine, step, clock);
  } catch (error) {
    return fail(run, threw(error), clock);
  }
};

/** Ends a run for a reason that its chart does not know of. */
export const fail = (run: Run, reason: string, clock: Clock): Step => {
  const at = clock.now();
  const next: Run = {
    ...run,
    seq: run.seq + 1,
    status: 'failed',
    state: 'failed',
    timers: {},
    dueAt: null,
    reason,
    failedIn: run.state,
    updatedAt: at,
  };
  return {
    run: next,
    transitions: [historyRow(run, next, { at, event: 'fail', error: reason })],
    writes: [],
  };
};

/** Puts a failed run back to a step, history kept: the one in which it failed, unless `state` says otherwise. */
export const redrive = (
  machine: Machine,
  run: Run,
  clock: Clock,
  state = stepOf(machine, run.failedIn ?? ''),
): Step => {
  if (run.status !== 'failed')
    throw new Error(`only a failed run can be retried; ${run.id} is ${run.status}`);
  if (!machine.steps.includes(state)) {
    throw new Error(
      `${machine.ref} has no state "${state}" to retry from; it has ${machine.steps.join(', ')}`,
    );
  }
  const next = reenter(machine.chart, run, state);
  const cleared = { ...run, reason: null, failedIn: null };
  return chain(machine, conclude(cleared, next, { at: clock.now(), event: 'retry' }), clock);
};

/** The state of the chart that `state` is, or is inside of: `paying` of `paying.charging`. */
const stepOf = ({ steps }: Machine, state: string): string =>
  steps.find((step) => state.startsWith(`${step}.`)) ?? state;

/** The calls that the run's state asks for: the same after a step as after a crash. */
export const wantedCalls = (machine: Machine, run: Run): Call[] => {
  if (isFinal(run)) return [];
  return children(run).map((child) => callOf(machine, run, child));
};

const callOf = (machine: Machine, run: Run, { id, src, input }: Child): Call => ({
  id,
  src,
  key: callKey(run.id, machine.calls.get(id)?.name ?? src),
  attempt: run.attempts[id] ?? 1,
  input,
});

/** What a wanted call is called with: from the record, so that a call which waits need not keep it. */
export const inputOf = (run: Run, call: string): unknown =>
  children(run).find(({ id }) => id === call)?.input;

const react = (machine: Machine, run: Run, incident: Incident, clock: Clock): Progress | undefined => {
  switch (incident.type) {
    case 'answered':
      return answered(machine, run, restore(machine.chart, run), incident, clock);
    case 'due':
      return due(machine, run, incident, clock);
    case 'cancelled':
      return cancelled(machine, run, clock);
  }
};

const answered = (
  machine: Machine,
  run: Run,
  position: Position,
  answer: Extract<Incident, { type: 'answered' }>,
  clock: Clock,
): Progress | undefined => {
  const { call: id, attempt, duration, result } = answer;
  const wanted = id in position.children && run.attempts[id] === attempt;
  if (!wanted) return undefined;
  const at = clock.now();
  const outcome = result.ok ? 'done' : 'error';
  const event = {
    type: `xstate.${outcome}.actor.${id}`,
    actorId: id,
    ...(result.ok
      ? { output: result.output }
      : {
          error: callError(result, {
            at,
            waited: at - run.updatedAt - (duration ?? 0),
            random: clock.random(),
          }),
        }),
  };
  return conclude(run, move(machine.chart, withoutChild(position, id), event), {
    at,
    event: `${machine.calls.get(id)?.name ?? id} ${outcome}`,
    duration,
    attempt,
    error: result.ok ? null : result.message,
    receipt: result.receipt ?? null,
  });
};

const due = (
  machine: Machine,
  run: Run,
  { timer, at: dueAt }: Extract<Incident, { type: 'due' }>,
  clock: Clock,
): Progress | undefined => {
  const pending = run.timers[timer];
  if (pending?.at !== dueAt) return undefined;
  const timers = { ...run.timers };
  delete timers[timer];
  const next = move(machine.chart, restore(machine.chart, run), pending.event);
  return conclude({ ...run, timers }, next, {
    at: clock.now(),
    event: `after ${machine.delays.get(timer) ?? timer}`,
  });
};

const cancelled = (machine: Machine, run: Run, clock: Clock): Progress | undefined => {
  const event = { type: 'cancel' };
  const position = restore(machine.chart, run);
  if (!position.can(event)) return undefined;
  return conclude(run, move(machine.chart, position, event), { at: clock.now(), event: 'cancel' });
};

/** Answers local calls until none is wanted. Whatever throws on the way fails the run where it then stands. */
const chain = (machine: Machine, first: Progress, clock: Clock): Step => {
  let progress = first;
  try {
    for (let length = 0; length < longestChain; length++) {
      const next = answerLocal(machine, progress, clock);
      if (!next) return kept(progress);
      progress = joined(progress, next);
    }
    return failed(progress, `more than ${longestChain} local calls in one step: the chart loops`, clock);
  } catch (error) {
    return failed(progress, threw(error), clock);
  }
};

/** What is committed of it. */
const kept = ({ run, position, transitions, writes }: Progress): Step => ({
  run: { ...run, snapshot: textOf(position) },
  transitions,
  writes,
});

const failed = (progress: Progress, reason: string, clock: Clock): Step => {
  const last = kept(progress);
  return joined(last, fail(last.run, reason, clock));
};

const joined = <Next extends Step>(one: Step, two: Next): Next => ({
  ...two,
  transitions: [...one.transitions, ...two.transitions],
  writes: [...one.writes, ...two.writes],
});

const answerLocal = (machine: Machine, { run, position }: Progress, clock: Clock): Progress | undefined => {
  const call = localCall(machine, run, position);
  if (!call) return undefined;
  const { result, writes } = performLocal(machine, call, clock.now());
  const answer = { type: 'answered', call: call.id, attempt: call.attempt, duration: null, result } as const;
  const next = answered(machine, run, asRestored(position), answer, clock);
  return next && { ...next, writes };
};

const localCall = (machine: Machine, run: Run, position: Position): Call | undefined => {
  if (isFinal(run)) return undefined;
  const child = findChild(position, (id) => machine.calls.get(id)?.local !== undefined);
  return child && callOf(machine, run, child);
};

/** A local call that throws has a bug, and a bug does not pass by waiting. */
const performLocal = (
  machine: Machine,
  call: Call,
  now: number,
): { result: CallResult; writes: readonly Write[] } => {
  try {
    const { output, writes = [] } = machine.calls.get(call.id)!.local!(call.input as never, {
      key: call.key,
      now,
    });
    return { result: { ok: true, output }, writes };
  } catch (error) {
    return { result: { ...failure(error), permanent: true } as CallResult, writes: [] };
  }
};

const threw = (error: unknown): string => `the machine threw: ${messageOf(error)}`;

const callError = (
  result: Extract<CallResult, { ok: false }>,
  { at, waited, random }: { at: number; waited: number; random: number },
): CallError => ({
  message: result.message,
  permanent: result.permanent,
  ...(result.retryAfter !== undefined && { retryAfter: result.retryAfter }),
  waited: Math.max(0, Math.round(waited)),
  at,
  random,
});
