import type { DrawnState, Drawing } from '../../engine/drawing.ts';

/** Laid out by Graphviz. It is loaded when it is asked for: 1.5 MB of WebAssembly. */
export const drawSvg = async (drawn: Drawing): Promise<string> => {
  const { instance } = await import('@viz-js/viz');
  const viz = await instance();
  return viz.renderString(drawDot(drawn), { format: 'svg' }).trimEnd();
};

/** DOT, the language of Graphviz: https://graphviz.org/doc/info/lang.html */
export const drawDot = ({ ref, states, transitions }: Drawing): string => {
  const isGroup = (name: string) => states.some(({ within }) => within === name);
  const hasAnywhere = transitions.some(({ from }) => from === null);
  // An edge cannot end at a cluster: it ends at the first state inside, and is clipped at the border.
  const leafOf = (name: string): string =>
    isGroup(name) ? leafOf(states.find(({ within }) => within === name)!.name) : name;
  const edges = transitions.map(({ from, to, label }) => {
    const ends = `${from === null ? anywhere : quote(leafOf(from))} -> ${quote(leafOf(to))}`;
    const clipped = [
      ...(from !== null && isGroup(from) ? [`ltail=${cluster(from)}`] : []),
      ...(isGroup(to) ? [`lhead=${cluster(to)}`] : []),
    ];
    return `  ${ends} [${[`label=${quote(label)}`, ...clipped].join(', ')}]`;
  });
  const starts = states
    .filter(({ isInitial, within }) => isInitial && within === null)
    .map(({ name }) => `  start -> ${quote(leafOf(name))}`);
  return [
    'digraph {',
    `  compound=true; label=${quote(ref)}; labelloc=t; fontname="sans-serif"`,
    '  node [shape=box, style=rounded, fontname="sans-serif"]; edge [fontname="sans-serif", fontsize=10]',
    '  start [shape=point, width=0.15, label=""]',
    ...(hasAnywhere ? [`  ${anywhere} [label="any state", style="rounded,dashed"]`] : []),
    ...inside(states, null),
    ...starts,
    ...edges,
    '}',
  ].join('\n');
};

const anywhere = '"any state"';

const inside = (states: readonly DrawnState[], parent: string | null): string[] =>
  states
    .filter(({ within }) => within === parent)
    .flatMap(({ name, isFinal }) => {
      const inner = inside(states, name);
      const label = quote(name.split('.').at(-1)!);
      if (inner.length > 0) return [`  subgraph ${cluster(name)} { label=${label}`, inner.join('\n'), '  }'];
      return [`  ${quote(name)} [label=${label}${isFinal ? ', peripheries=2' : ''}]`];
    });

const cluster = (name: string): string => quote(`cluster_${name}`);

const quote = (text: string): string => `"${text.replaceAll(/["\\]/g, '\\$&')}"`;
