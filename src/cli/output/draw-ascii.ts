import type { DrawnState, DrawnTransition, Drawing } from '../../engine/drawing.ts';

/**
 * For a terminal of 80 columns: the way through the machine from top to bottom, beside each state where else it
 * leads, then the states off that way. Layouts that route lines cannot keep so many labels apart in text.
 */
export const drawAscii = ({ ref, states, transitions }: Drawing): string => {
  const leaves = states.filter((state) => !states.some(({ within }) => within === state.name));
  const way = wayThrough(states, transitions);
  const aside = leaves.filter((state) => !way.includes(state));
  const width = Math.max(...leaves.map(({ name }) => name.length));
  const box = (state: DrawnState, next?: DrawnState) =>
    boxOf(state, width, leavingFrom(state, transitions, next));
  const everywhere = transitions
    .filter(({ from }) => from === null)
    .map(({ label, to }) => `any state ─ ${label} → ${to}`);
  return [
    ref,
    '',
    '●',
    ...way.flatMap((state, index) =>
      arrowTo(state, way[index - 1], transitions).concat(box(state, way[index + 1])),
    ),
    ...(aside.length > 0 ? ['', ...aside.flatMap((state) => box(state))] : []),
    ...(everywhere.length > 0 ? ['', ...everywhere] : []),
  ].join('\n');
};

/** From the initial state by the first transition that leads on, until nothing new is reached. */
const wayThrough = (states: readonly DrawnState[], transitions: readonly DrawnTransition[]): DrawnState[] => {
  const byName = new Map(states.map((state) => [state.name, state]));
  const way: DrawnState[] = [];
  let next: DrawnState | undefined = entered(
    states.find(({ isInitial, within }) => isInitial && within === null),
    states,
  );
  while (next) {
    way.push(next);
    next = outOf(next, transitions)
      .map(({ to }) => entered(byName.get(to), states))
      .find((state) => state && !way.includes(state));
  }
  return way;
};

/** Who enters a state with states inside it is in the initial one of these. */
const entered = (state: DrawnState | undefined, states: readonly DrawnState[]): DrawnState | undefined => {
  const inner = state && states.find(({ within, isInitial }) => within === state.name && isInitial);
  return inner ? entered(inner, states) : state;
};

/** Its own transitions, then those of the states around it. */
const outOf = ({ name }: DrawnState, transitions: readonly DrawnTransition[]): DrawnTransition[] =>
  transitions
    .filter(({ from }) => from !== null && (from === name || name.startsWith(`${from}.`)))
    .toSorted((one, two) => two.from!.length - one.from!.length);

const leadsTo = (to: string, state: DrawnState): boolean =>
  to === state.name || state.name.startsWith(`${to}.`);

const leavingFrom = (
  state: DrawnState,
  transitions: readonly DrawnTransition[],
  next: DrawnState | undefined,
): DrawnTransition[] => {
  const drawnAsArrow = next && outOf(state, transitions).find(({ to }) => leadsTo(to, next));
  return outOf(state, transitions).filter((transition) => transition !== drawnAsArrow);
};

const arrowTo = (
  state: DrawnState,
  before: DrawnState | undefined,
  transitions: readonly DrawnTransition[],
): string[] => {
  const by = before && outOf(before, transitions).find(({ to }) => leadsTo(to, state));
  return by ? [`│ ${by.label}`, '▼'] : ['▼'];
};

const single = { top: '┌─┐', side: '│', bottom: '└─┘' };
const double = { top: '╔═╗', side: '║', bottom: '╚═╝' };

/** A final state has double lines. */
const boxOf = (
  { name, isFinal }: DrawnState,
  width: number,
  leaving: readonly DrawnTransition[],
): string[] => {
  const { top, side, bottom } = isFinal ? double : single;
  const edge = ([left, line, right]: string) => `${left}${line!.repeat(width + 2)}${right}`;
  const texts = leaving.length > 0 ? leaving.map(({ label, to }) => `─ ${label} → ${to}`) : [''];
  const lines = texts.map(
    (text, index) => `${side} ${(index === 0 ? name : '').padEnd(width)} ${side}${text}`,
  );
  return [edge(top), ...lines, edge(bottom)];
};
