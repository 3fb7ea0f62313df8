import type { DrawnState, Drawing } from '../../engine/drawing.ts';

/** A Mermaid state diagram (https://mermaid.js.org/syntax/stateDiagram.html), as GitHub shows it. */
export const drawMermaid = ({ ref, states, transitions }: Drawing): string => {
  const hasAnywhere = transitions.some(({ from }) => from === null);
  return [
    '---',
    `title: ${ref}`,
    '---',
    'stateDiagram-v2',
    ...inside(states, null, 1),
    ...(hasAnywhere ? [`  ${anywhere} : any state`] : []),
    ...transitions.map(({ from, to, label }) => `  ${from === null ? anywhere : idOf(from)} --> ${idOf(to)} : ${escape(label)}`),
  ].join('\n');
};

/** A transition that every state has is drawn once. */
const anywhere = 'any__state';

const inside = (states: readonly DrawnState[], within: string | null, depth: number): string[] =>
  states.filter((state) => state.within === within).flatMap((state) => {
    const indent = '  '.repeat(depth);
    const inner = inside(states, state.name, depth + 1);
    const own = state.name.split('.').at(-1)!;
    const label = own === idOf(state.name) ? own : `"${escape(own)}" as ${idOf(state.name)}`;
    return [
      ...(inner.length > 0 ? [`${indent}state ${label} {`, ...inner, `${indent}}`] : [`${indent}${own === label ? own : `state ${label}`}`]),
      ...(state.isInitial ? [`${indent}[*] --> ${idOf(state.name)}`] : []),
      ...(state.isFinal ? [`${indent}${idOf(state.name)} --> [*]`] : []),
    ];
  });

const idOf = (name: string): string => name.replaceAll(/\W/g, '_');

/** What Mermaid would read as its own is written as an entity (its "entity codes"). */
const escape = (text: string): string => text.replaceAll(/[^\w .,'()[\]-]/gu, (character) => `#${character.codePointAt(0)};`);
