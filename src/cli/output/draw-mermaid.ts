import type { DrawnState, Drawing } from '../../engine/drawing.ts';

/** A Mermaid state diagram (https://mermaid.js.org/syntax/stateDiagram.html), as GitHub shows it. */
export const drawMermaid = ({ ref, states, transitions }: Drawing): string => {
  const hasAnywhere = transitions.some(({ from }) => from === null);
  return [
    '---',
    `title: ${ref}`,
    '---',
    'stateDiagram-v2',
    ...indented(inside(states, null)),
    ...(hasAnywhere ? [`  ${anywhere} : any state`] : []),
    ...transitions.map(
      ({ from, to, label }) =>
        `  ${from === null ? anywhere : idOf(from)} --> ${idOf(to)} : ${escape(label)}`,
    ),
  ].join('\n');
};

/** A transition that every state has is drawn once. */
const anywhere = 'any__state';

const inside = (states: readonly DrawnState[], within: string | null): string[] =>
  states
    .filter((state) => state.within === within)
    .flatMap(({ name, isInitial, isFinal }) => {
      const inner = inside(states, name);
      const lines =
        inner.length > 0 ? [`state ${labelOf(name)} {`].concat(indented(inner), '}') : [leaf(name)];
      if (isInitial) lines.push(`[*] --> ${idOf(name)}`);
      if (isFinal) lines.push(`${idOf(name)} --> [*]`);
      return lines;
    });

const indented = (lines: readonly string[]): string[] => lines.map((line) => `  ${line}`);

const leaf = (name: string): string => (labelOf(name) === name ? name : `state ${labelOf(name)}`);

const labelOf = (name: string): string => {
  const own = name.split('.').at(-1)!;
  return own === idOf(name) ? own : `"${escape(own)}" as ${idOf(name)}`;
};

const idOf = (name: string): string => name.replaceAll(/\W/g, '_');

/** What Mermaid would read as its own is written as an entity (its "entity codes"). */
const escape = (text: string): string =>
  text.replaceAll(/[^\w .,'()[\]-]/gu, (character) => `#${character.codePointAt(0)};`);
