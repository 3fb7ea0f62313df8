import type { StateNode } from 'xstate';

/** A state and all states inside it. */
export const nodesOf = (node: StateNode): StateNode[] => [
  node,
  ...Object.values(node.states).flatMap(nodesOf),
];

/** The invokes of a state. A call's name, the end of its key, is the invoke's own id, else its `src`. */
export const invokes = (node: StateNode): { id: string; name: string; src: string }[] =>
  node.invoke.map(({ id, src: given }, index) => {
    const src = typeof given === 'string' ? given : 'an inline actor';
    return { id, name: id === `${index}.${node.id}` ? src : id, src };
  });
