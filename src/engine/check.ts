/** What XState lets through silently, and a durable run cannot live with. */
import type { AnyStateMachine, StateNode } from 'xstate';
import type { Definition } from './definition.ts';
import { invokes, nodesOf } from './nodes.ts';

/** One line a problem: where it is, what is wrong, what to do. */
export const problemsOf = (definition: Definition): string[] => {
  const { machine } = definition;
  const broken = identityProblems(machine);
  const initials = nodesOf(machine.root).flatMap(initialProblems);
  if (initials.length > 0) return [...broken, ...initials]; // nothing else can be read off such a chart
  const nodes = nodesOf(machine.root);
  return [
    ...broken,
    ...nodes.flatMap((node) => callProblems(node, definition)),
    ...nodes.flatMap(addressProblems),
    ...nodes.flatMap((node) => delayProblems(node, machine)),
    ...nodes.flatMap((node) => raiseProblems(node, machine)),
    ...nodes.flatMap((node) => actionProblems(node, machine)),
    ...nodes.flatMap((node) => guardProblems(node, machine)),
    ...keyProblems(nodes),
    ...finalProblems(machine.root, nodes, machine),
  ];
};

const identityProblems = ({ id, version }: AnyStateMachine): string[] => [
  ...(/^[a-z][a-z0-9-]{0,99}$/.test(id)
    ? []
    : [`the id "${id}" must be small letters, digits and dashes: it is a routing key`]),
  ...(version ? [] : ['it has no version: add version: "1", and a new one whenever its states change']),
];

const initialProblems = (node: StateNode): string[] => {
  if (node.type !== 'compound') return [];
  try {
    void node.initial.target; // XState looks for it now, and would only have thrown at first use
    return [];
  } catch {
    const name = JSON.stringify(node.config.initial);
    return [
      `${where(node)}: its initial state ${name} does not exist; there is ${Object.keys(node.states).join(', ')}`,
    ];
  }
};

const callProblems = (node: StateNode, { local = {}, remote = {} }: Definition): string[] =>
  invokes(node).flatMap(({ src }) => {
    if (src in local && src in remote)
      return [`${where(node)}: "${src}" is both a local and a remote call: keep one`];
    if (src in local || src in remote) return [];
    const known = [...Object.keys(local), ...Object.keys(remote)];
    return [
      `${where(node)}: it invokes "${src}", which is neither a local nor a remote call${suggest(src, known)}`,
    ];
  });

/** XState gives a system id to one live actor at a time; here nothing lives, and many runs share one system. */
const addressProblems = (node: StateNode): string[] =>
  node.invoke.flatMap(({ systemId }) =>
    systemId === undefined
      ? []
      : [`${where(node)}: its invoke has the systemId "${systemId}": leave it out, a call has no address`],
  );

/** XState runs a delay that it does not know at once: a hot retry loop. */
const delayProblems = (node: StateNode, machine: AnyStateMachine): string[] =>
  node.after.flatMap(({ delay }) => (/^\d+$/.test(String(delay)) ? [] : delayProblem(node, delay, machine)));

const delayProblem = (node: StateNode, delay: unknown, { implementations }: AnyStateMachine): string[] =>
  typeof delay !== 'string' || delay in implementations.delays
    ? []
    : [
        `${where(node)}: the delay "${delay}" does not exist${suggest(delay, Object.keys(implementations.delays))}`,
      ];

/** XState gives a delayed event an id by chance where it has none: two of them would be one timer in a record. */
const raiseProblems = (node: StateNode, machine: AnyStateMachine): string[] =>
  actionsOf(node).flatMap((action) => {
    const { type, event, id, delay } = raiseIn(action, machine);
    if (type !== 'xstate.raise' || delay === undefined || id?.startsWith('xstate.after.')) return [];
    const problems = delayProblem(node, delay, machine);
    if (id !== undefined) return problems;
    return problems.concat(
      `${where(node)}: it raises "${event?.type ?? 'an event'}" later, without an id: add one, as in raise(event, { id, delay })`,
    );
  });

const pureActions = new Set(['xstate.assign', 'xstate.raise', 'xstate.cancel']);

const actionProblems = (node: StateNode, machine: AnyStateMachine): string[] =>
  actionsOf(node).flatMap((action) => {
    const name = nameOf(action);
    const body = bodyOf(action, machine);
    if (name !== undefined && body === undefined) {
      const known = Object.keys(machine.implementations.actions);
      return [`${where(node)}: the action "${name}" does not exist${suggest(name, known)}`];
    }
    const type = (body as { type?: string }).type;
    if (type !== undefined && pureActions.has(type)) return [];
    return [
      `${where(node)}: the action "${name ?? type ?? 'inline function'}" would not survive a crash: make it an invoke, or an assign if it only changes the context`,
    ];
  });

const guardProblems = (node: StateNode, { implementations }: AnyStateMachine): string[] =>
  transitionsOf(node)
    .flatMap(({ guard }) => guardsIn(guard))
    .flatMap((guard) => {
      const name = nameOf(guard);
      if (name === undefined || name in implementations.guards) return [];
      return [
        `${where(node)}: the guard "${name}" does not exist${suggest(name, Object.keys(implementations.guards))}`,
      ];
    });

/** `and`, `or` and `not` are functions that hold others. */
const guardsIn = (guard: unknown): unknown[] =>
  typeof guard === 'function' && 'guards' in guard ? (guard.guards as unknown[]).flatMap(guardsIn) : [guard];

/** Two calls of one name would share an idempotency key: a receiver would drop the second. */
const keyProblems = (nodes: StateNode[]): string[] => {
  const seen = new Map<string, string>();
  return nodes.flatMap((node) =>
    invokes(node).flatMap(({ name }) => {
      const first = seen.get(name);
      seen.set(name, where(node));
      return first === undefined
        ? []
        : [
            `${where(node)}: its call "${name}" has the same key as the one in ${first}: give each invoke an id of its own`,
          ];
    }),
  );
};

const finalProblems = (root: StateNode, nodes: StateNode[], machine: AnyStateMachine): string[] => {
  if (root.type === 'parallel')
    return ['it is parallel itself: put that into a state whose onDone leads to a final one'];
  const finals = Object.values(root.states).filter(({ type }) => type === 'final');
  if (finals.length === 0) return ['it has no final state: its runs would never end'];
  const ending = new Set<StateNode>(finals);
  const comes = eventsOf(nodes, machine);
  // Backwards from the final states, until nothing is added.
  for (let size = 0; size !== ending.size;) {
    size = ending.size;
    for (const node of nodes) if (node !== root && leadsTo(node, ending, comes)) ending.add(node);
  }
  return nodes
    .filter((node) => node.type === 'atomic' && node !== root && !ending.has(node))
    .map(
      (node) =>
        `${where(node)}: no final state can be reached from here by its calls, its timers and what it raises`,
    );
};

/** A state leaves by its own transitions or by those of a state around it; the root's own, `cancel`, do not count. */
const leadsTo = (node: StateNode, ending: Set<StateNode>, comes: (event: string) => boolean): boolean =>
  transitionsOf(node).some(
    ({ eventType, target }) => comes(eventType) && target?.some((state) => ending.has(state)),
  ) ||
  (node.parent !== undefined && ending.has(node.parent)) ||
  (node.type === 'compound' && node.initial.target.some((state) => ending.has(state)));

/** Nobody sends a run an event but its calls, its timers and itself. */
const eventsOf = (nodes: StateNode[], machine: AnyStateMachine): ((event: string) => boolean) => {
  const raised = new Set(
    nodes
      .flatMap(actionsOf)
      .map((action) => raiseIn(action, machine))
      .filter(({ type }) => type === 'xstate.raise')
      .map(({ event }) => event?.type), // of one that is computed, nothing is known
  );
  return (event) => event === '' || /^xstate\.|\*$/.test(event) || raised.has(event) || raised.has(undefined);
};

/** The parts of a `raise` that XState shows. */
type Raise = { type: string; id: string; event: { type: string }; delay: unknown };

const actionsOf = (node: StateNode): unknown[] => [
  // The delayed raises and cancels of `after` are XState's own.
  ...node.entry,
  ...node.exit,
  ...(node.type === 'compound' ? node.initial.actions : []),
  ...transitionsOf(node).flatMap(({ actions }) => actions),
];

const raiseIn = (action: unknown, machine: AnyStateMachine): Partial<Raise> => bodyOf(action, machine) ?? {};

const bodyOf = (action: unknown, { implementations }: AnyStateMachine): unknown => {
  const name = nameOf(action);
  return name === undefined ? action : (implementations.actions as Record<string, unknown>)[name];
};

const transitionsOf = (node: StateNode) => [...[...node.transitions.values()].flat(), ...(node.always ?? [])];

const nameOf = (implementation: unknown): string | undefined => {
  if (typeof implementation === 'string') return implementation;
  if (typeof implementation !== 'object' || implementation === null) return undefined;
  const { type } = implementation as { type?: string };
  return type?.startsWith('xstate.') ? undefined : type;
};

const where = (node: StateNode): string => (node.parent ? `state "${node.path.join('.')}"` : 'the machine');

/** Names the candidate that was probably meant: the one that shares the longest beginning. */
const suggest = (given: string, known: string[]): string => {
  if (known.length === 0) return '';
  const score = (name: string) => {
    let shared = 0;
    while (shared < name.length && name[shared] === given[shared]) shared += 1;
    return shared;
  };
  const best = known.reduce((one, two) => (score(two) > score(one) ? two : one));
  return score(best) >= 2 ? `; did you mean "${best}"?` : `; there is ${known.join(', ')}`;
};
