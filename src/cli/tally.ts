/** One effect as a receiver saw it: under which key, for which todo. Repeats are rows of their own. */
export type Effect = { readonly key: string; readonly todo: string };

export type Seen = {
  readonly accepted: readonly string[];
  readonly todos: readonly string[];
  readonly alerts: readonly Effect[];
  readonly audits: readonly Effect[];
};

export type Tally = {
  readonly accepted: number;
  readonly todos: number;
  /** Counted by key, as a receiver counts that drops repeats. */
  readonly alerts: number;
  readonly audits: number;
  /** Accepted submissions without their todo, alert or audit. */
  readonly lost: number;
  /** Effects for a todo that was not saved. */
  readonly phantom: number;
  /** Effects that came under a second key, and todos that were saved twice. */
  readonly doubled: number;
  /** Deliveries under a key that was seen before: a receiver drops them. */
  readonly repeats: number;
};

/** Counts at the receiving ends what became of every accepted submission. */
export const tallyOf = ({ accepted, todos, alerts, audits }: Seen): Tally => {
  const saved = new Set(todos);
  const byKey = [alerts, audits].map(distinct);
  const reached = byKey.map((effects) => new Set(effects.map(({ todo }) => todo)));
  return {
    accepted: accepted.length,
    todos: todos.length,
    alerts: byKey[0]!.length,
    audits: byKey[1]!.length,
    lost: accepted.filter((id) => !saved.has(id) || reached.some((ids) => !ids.has(id))).length,
    phantom: byKey.flat().filter(({ todo }) => !saved.has(todo)).length,
    doubled:
      byKey.reduce((sum, effects, index) => sum + effects.length - reached[index]!.size, 0) +
      todos.length -
      saved.size,
    repeats: alerts.length + audits.length - byKey.flat().length,
  };
};

const distinct = (effects: readonly Effect[]): Effect[] => [
  ...new Map(effects.map((effect) => [effect.key, effect])).values(),
];
