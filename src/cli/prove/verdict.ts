/** What became of what was accepted, counted at the receiving ends. */
import type { Machine } from '../../engine/machine.ts';
import { isFinal } from '../../engine/run.ts';
import type { Run, Transition } from '../../engine/run.ts';
import type { SeenEffect } from './site.ts';

export type Sighting = {
  readonly accepted: readonly string[];
  /** The state in which each run has to end. */
  readonly end: string | undefined;
  readonly runs: ReadonlyMap<string, Run>;
  readonly histories: ReadonlyMap<string, readonly Transition[]>;
  readonly todos: readonly string[];
  readonly effects: readonly SeenEffect[];
  /** Phantoms that were seen right after the crash: a run that comes later does not undo them. */
  readonly early: readonly Problem[];
  /** Those left in the queue, and dead letters: there must be none. */
  readonly left: { readonly messages: number; readonly dead: number };
};

export type Count = {
  readonly accepted: number;
  readonly todos: number;
  /** Counted by key, as a receiver counts that drops repeats. */
  readonly alerts: number;
  readonly audits: number;
  /** Calls of a machine of one's own. */
  readonly others: number;
  /** Accepted submissions that did not end as they have to, or lack an effect that their history tells of. */
  readonly lost: number;
  /** Effects of a run that never asked for them, or whose todo was not saved. */
  readonly phantom: number;
  /** Effects that came under a second key. */
  readonly doubled: number;
  /** Effects that came more than once under one key: a receiver drops them. */
  readonly repeats: number;
};

export const nothingSeen: Count = {
  accepted: 0,
  todos: 0,
  alerts: 0,
  audits: 0,
  others: 0,
  lost: 0,
  phantom: 0,
  doubled: 0,
  repeats: 0,
};

export type Problem = { readonly run: string | undefined; readonly text: string };

export const verdictOf = (machine: Machine, seen: Sighting): { count: Count; problems: Problem[] } => {
  const distinct = distinctOf(seen.effects);
  const lost = seen.accepted.flatMap((id) => lossesOf(machine, seen, id));
  const phantom = [...seen.early, ...phantomsOf(machine, seen)];
  const doubled = doublesOf(distinct);
  const countOf = (call: string) => distinct.filter((effect) => effect.call === call).length;
  const alerts = countOf('sendAlert');
  const audits = countOf('sendAudit');
  return {
    count: {
      accepted: seen.accepted.length,
      todos: seen.todos.length,
      alerts,
      audits,
      others: distinct.length - alerts - audits,
      lost: new Set(lost.map(({ run }) => run)).size,
      phantom: phantom.length,
      doubled: doubled.length,
      repeats: seen.effects.length - distinct.length,
    },
    problems: [...lost, ...phantom, ...doubled, ...gapsOf(seen), ...leftOf(seen)],
  };
};

const lossesOf = (machine: Machine, seen: Sighting, id: string): Problem[] => {
  const run = seen.runs.get(id);
  const history = seen.histories.get(id) ?? [];
  if (!run) return [{ run: id, text: 'lost: it was accepted, and there is no run' }];
  if (!isFinal(run)) return [{ run: id, text: `lost: it is still in ${run.state}` }];
  const problem = (text: string): Problem => ({ run: id, text: `lost: ${text}` });
  return [
    ...(run.state === seen.end ? [] : [problem(`it is ${run.state}, and not ${seen.end ?? 'there'}`)]),
    ...remoteNames(machine)
      .filter((call) => history.some(({ event }) => event === `${call} done`))
      .filter((call) => !seen.effects.some((effect) => effect.run === id && effect.call === call))
      .map((call) => problem(`its history says "${call} done", and nobody saw it`)),
    ...(savesTodo(machine, history) && !seen.todos.includes(id)
      ? [problem('its history says "saveTodo done", and there is no todo')]
      : []),
  ];
};

/** Effects that nothing in the store asked for. There must be none at any time, not even right after a crash. */
export const phantomsOf = (
  machine: Machine,
  { runs, todos, effects }: Pick<Sighting, 'runs' | 'todos' | 'effects'>,
): Problem[] =>
  distinctOf(effects).flatMap(({ call, run: id, key }) => {
    const asked = Object.keys(runs.get(id)?.attempts ?? {});
    const wasAsked = asked.some((one) => machine.calls.get(one)?.name === call);
    const hasTodo = machine.id !== 'create-todo' || todos.includes(id);
    return wasAsked && hasTodo
      ? []
      : [{ run: id, text: `phantom: ${key}, which nothing in the store asked for` }];
  });

const distinctOf = (effects: readonly SeenEffect[]): SeenEffect[] => [
  ...new Map(effects.map((effect) => [effect.key, effect])).values(),
];

const doublesOf = (distinct: readonly SeenEffect[]): Problem[] => {
  const first = new Map<string, string>();
  return distinct.flatMap(({ call, run, key }) => {
    const effect = `${run} ${call}`;
    const known = first.get(effect);
    if (known === undefined) first.set(effect, key);
    return known === undefined ? [] : [{ run, text: `doubled: ${call} under ${known} and under ${key}` }];
  });
};

const gapsOf = ({ runs, histories }: Sighting): Problem[] =>
  [...runs.values()].flatMap(({ id, seq }) => {
    const numbers = (histories.get(id) ?? []).map((row) => row.seq);
    const isWhole = numbers.length === seq && numbers.every((number, index) => number === index + 1);
    return isWhole
      ? []
      : [{ run: id, text: `its record is at ${seq}, its history has ${numbers.join(', ')}` }];
  });

const leftOf = ({ left: { messages, dead } }: Sighting): Problem[] => [
  ...(messages === 0 ? [] : [{ run: undefined, text: `${messages} messages are left in the queue` }]),
  ...(dead === 0 ? [] : [{ run: undefined, text: `${dead} dead letters` }]),
];

const remoteNames = ({ calls }: Machine): string[] =>
  [...calls.values()].filter(({ remote }) => remote).map(({ name }) => name);

const savesTodo = ({ id }: Machine, history: readonly Transition[]): boolean =>
  id === 'create-todo' && history.some(({ event }) => event === 'saveTodo done');
