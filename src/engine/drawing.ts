/** A machine as data to draw: what people and tools are shown is read off the chart that runs. */
import type { StateNode } from 'xstate';
import type { Machine } from './machine.ts';
import { nodesOf } from './nodes.ts';

/** `name` is the path of a state: `sendingAlert`; `paying.charging` where it is nested in `within`. */
export type DrawnState = {
  readonly name: string;
  readonly within: string | null;
  readonly isFinal: boolean;
  readonly isInitial: boolean;
};

/** `from` is null where every state has the transition. */
export type DrawnTransition = { readonly from: string | null; readonly to: string; readonly label: string };

export type Drawing = {
  readonly ref: string;
  /** In the order of the chart; a state comes before those inside it. */
  readonly states: readonly DrawnState[];
  /** In the order in which the machine tries them. */
  readonly transitions: readonly DrawnTransition[];
};

export const drawing = ({ ref, chart, calls }: Machine): Drawing => {
  const nodes = nodesOf(chart.root);
  const nameOfCall = (id: string) => calls.get(id)?.name ?? id;
  return {
    ref,
    states: nodes.filter(({ parent }) => parent).map(drawnState),
    transitions: nodes.flatMap((node) => drawnTransitions(node, nameOfCall)),
  };
};

const drawnState = (node: StateNode): DrawnState => ({
  name: pathOf(node),
  within: node.parent?.parent ? pathOf(node.parent) : null,
  isFinal: node.type === 'final',
  isInitial: isInitial(node),
});

/** All children of a parallel state are entered with it. */
const isInitial = ({ parent, key }: StateNode): boolean =>
  parent?.type === 'parallel' ||
  (parent?.type === 'compound' && parent.initial.target.some((target) => target.key === key));

const drawnTransitions = (node: StateNode, nameOfCall: (id: string) => string): DrawnTransition[] => {
  const delays = new Map<string, string>(
    node.after.map(({ eventType, delay }) => [eventType, String(delay)]),
  );
  return [...[...node.transitions.values()].flat(), ...(node.always ?? [])].flatMap(
    ({ eventType, guard, target }) => {
      const cause = causeOf(eventType, delays, nameOfCall);
      const label = guard === undefined ? cause : `${cause} [${guardName(guard)}]`;
      // Without a target the state stays as it is.
      return (target ?? [node]).map((to) => ({
        from: node.parent ? pathOf(node) : null,
        to: pathOf(to),
        label,
      }));
    },
  );
};

/** In the words of a run's history: `sendAlert done`, `sendAlert error`, `after backoff`. */
const causeOf = (
  event: string,
  delays: ReadonlyMap<string, string>,
  nameOfCall: (id: string) => string,
): string => {
  const delay = delays.get(event);
  if (delay !== undefined) return `after ${/^\d+$/.test(delay) ? `${delay} ms` : delay}`;
  const [, outcome, id] = /^xstate\.(done|error)\.actor\.(.*)$/.exec(event) ?? [];
  if (outcome !== undefined && id !== undefined) return `${nameOfCall(id)} ${outcome}`;
  if (event.startsWith('xstate.done.state.')) return 'all done';
  return event === '' ? 'always' : event;
};

/** A guard that is a function in the chart, as those made by `and`, `or` and `not` are, has no name. */
const guardName = (guard: unknown): string => {
  if (typeof guard === 'string') return guard;
  const type = typeof guard === 'object' && guard !== null && 'type' in guard ? guard.type : undefined;
  return typeof type === 'string' ? type : 'guard';
};

const pathOf = ({ path }: StateNode): string => path.join('.');
