/** Every step that a machine can take, and a shortest way to each: explored with the engine itself, nothing is guessed. */
import { drawing } from './drawing.ts';
import type { DrawnTransition } from './drawing.ts';
import { PermanentError } from './errors.ts';
import { advance, start, wantedCalls } from './interpreter.ts';
import type { Machine } from './machine.ts';
import { isFinal } from './run.ts';
import type { CallResult, Clock, Incident, Run, Step, Transition } from './run.ts';

type Answer = 'ok' | 'transient' | 'permanent';

/** What happens to a run on its way; a call goes by its name. */
type Happening =
  | { readonly type: 'answer'; readonly call: string; readonly answer: Answer }
  | { readonly type: 'due' | 'cancel' };

/** A row of the history that a step writes. */
type Row = Pick<Transition, 'event' | 'from' | 'to'>;

type Attempt = { readonly name: string; readonly attempt: number };

/** A step, which is one commit: local calls chain inside it, so that it may have several rows. */
export type Route = {
  readonly rows: readonly Row[];
  /** What has to happen, in order, until the step is taken; none for the start of a run. */
  readonly happenings: readonly Happening[];
  /** The local call that has to fail on the way. */
  readonly failing: string | undefined;
  readonly isFinal: boolean;
  /** The remote calls that were in flight when the step was taken. */
  readonly callsBefore: readonly Attempt[];
  /** Those that are asked for after it. */
  readonly calls: readonly Attempt[];
  /** The state in which the run ends if all goes well from there; nothing when it never would. */
  readonly end: string | undefined;
};

/** A state is gone through this often: what its guards let through may depend on how it was reached. */
const visits = 2;

/** Where a run waits for an answer that all went well, this many steps are enough to end. */
const longest = 100;

const clock: Clock = { now: () => 0, random: () => 0.5 };

/** In the order of their length. @throws what the machine throws for the input */
export const routesOf = (machine: Machine, input: unknown): Route[] => {
  const locals = [...machine.calls.values()].filter(({ local }) => local).map(({ name }) => name);
  const found = new Map<string, Route>();
  for (const failing of [undefined, ...locals]) {
    for (const route of explore(withFailing(machine, failing), input, failing)) {
      const name = JSON.stringify(route.rows);
      if (!found.has(name)) found.set(name, route);
    }
  }
  return [...found.values()].toSorted((one, two) => one.happenings.length - two.happenings.length);
};

/** Transitions of the chart that no route has. */
export const unreached = (machine: Machine, routes: readonly Route[]): DrawnTransition[] => {
  const rows = routes.flatMap((route) => route.rows);
  return drawing(machine).transitions.filter(
    ({ from, to, label }) =>
      !rows.some(
        (row) =>
          row.to === to &&
          (from === null || row.from === from) &&
          row.event === label.replace(/ \[.*\]$/, ''),
      ),
  );
};

const withFailing = (machine: Machine, failing: string | undefined): Machine => ({
  ...machine,
  calls: new Map(
    [...machine.calls].map(([id, call]) => [id, call.name === failing ? { ...call, local: fails } : call]),
  ),
});

const fails = (): never => {
  throw new PermanentError('a local call that fails');
};

type Place = { readonly run: Run; readonly happenings: readonly Happening[] };

function* explore(machine: Machine, input: unknown, failing: string | undefined): Generator<Route> {
  const first = start(machine, 'run', input, clock);
  const routeOf = (
    { run, transitions }: Step,
    happenings: readonly Happening[],
    before: readonly Attempt[],
  ): Route => ({
    rows: transitions.map(({ event, from, to }) => ({ event, from, to })),
    happenings,
    failing,
    isFinal: isFinal(run),
    callsBefore: before,
    calls: wantedAttempts(machine, run),
    end: endOf(machine, run),
  });
  yield routeOf(first, [], []);
  const seen = new Map<string, number>();
  for (const queue: Place[] = [{ run: first.run, happenings: [] }]; queue.length > 0;) {
    const { run, happenings } = queue.shift()!;
    const count = (seen.get(run.state) ?? 0) + 1;
    if (isFinal(run) || count > visits) continue;
    seen.set(run.state, count);
    for (const [happening, incident] of incidentsOf(machine, run)) {
      const step = advance(machine, run, incident, clock);
      if (!step || step.transitions.some(({ event }) => event === 'fail')) continue; // the chart has no such transition
      const onward = [...happenings, happening];
      yield routeOf(step, onward, wantedAttempts(machine, run));
      queue.push({ run: step.run, happenings: onward });
    }
  }
}

const incidentsOf = (machine: Machine, run: Run): [Happening, Incident][] => [
  ...wantedCalls(machine, run).flatMap(({ id, src, attempt }) =>
    answers.map(([answer, result]): [Happening, Incident] => [
      { type: 'answer', call: machine.calls.get(id)?.name ?? src, answer },
      { type: 'answered', call: id, attempt, duration: null, result },
    ]),
  ),
  ...Object.entries(run.timers).map(([timer, { at }]): [Happening, Incident] => [
    { type: 'due' },
    { type: 'due', timer, at },
  ]),
  [{ type: 'cancel' }, { type: 'cancelled' }],
];

const answers: readonly [Answer, CallResult][] = [
  ['ok', { ok: true, output: undefined }],
  ['transient', { ok: false, message: 'away', permanent: false }],
  ['permanent', { ok: false, message: 'never', permanent: true }],
];

const wantedAttempts = (machine: Machine, run: Run): Attempt[] =>
  wantedCalls(machine, run).map(({ id, src, attempt }) => ({
    name: machine.calls.get(id)?.name ?? src,
    attempt,
  }));

/** Every call goes well, every timer is waited for. */
const endOf = (machine: Machine, from: Run): string | undefined => {
  let run = from;
  for (let length = 0; length < longest && !isFinal(run); length++) {
    const [next] = incidentsOf(machine, run);
    const step = next && next[0].type !== 'cancel' ? advance(machine, run, next[1], clock) : undefined;
    if (!step) return undefined;
    run = step.run;
  }
  return isFinal(run) ? run.state : undefined;
};
