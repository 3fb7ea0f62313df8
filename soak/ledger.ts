/**
 * Who has seen what, in a byte for each todo and each kind of effect: millions of them take a few megabytes. It
 * counts as src/cli/tally.ts does, which holds every effect.
 */
import type { Effect, Tally } from '../src/cli/tally.ts';

/** Small counts by index, that grow as needed. */
export class Counts {
  #bytes: Uint8Array;

  constructor(bytes: Uint8Array = new Uint8Array(1024)) {
    this.#bytes = bytes;
  }

  at(index: number): number {
    return this.#bytes[index] ?? 0;
  }

  /** 255 stands for that many and more. Returns the count before. */
  add(index: number): number {
    if (index >= this.#bytes.length) this.#grow(index);
    const before = this.#bytes[index]!;
    if (before < 255) this.#bytes[index] = before + 1;
    return before;
  }

  /** Each index that was counted. */
  *indexes(): Generator<number> {
    for (const [index, count] of this.#bytes.entries()) if (count > 0) yield index;
  }

  get bytes(): Uint8Array {
    return this.#bytes;
  }

  #grow(index: number): void {
    const grown = new Uint8Array(Math.max(index + 1, 2 * this.#bytes.length));
    grown.set(this.#bytes);
    this.#bytes = grown;
  }
}

/** The ids of a soak: one prefix and a number, so that they need not be kept. */
export const idsOf = (prefix: string) => ({
  of: (index: number): string => `${prefix}-${index}`,
  /** Undefined where the id is none of ours. */
  index: (id: string): number | undefined => {
    const digits = id.startsWith(`${prefix}-`) ? id.slice(prefix.length + 1) : '';
    return /^(0|[1-9]\d{0,8})$/.test(digits) ? Number(digits) : undefined;
  },
});
export type Ids = ReturnType<typeof idsOf>;

/** What one receiver has seen, as it crosses from one process to another. */
export type SeenEffects = {
  readonly counts: Uint8Array;
  readonly odd: readonly Effect[];
  readonly repeats: number;
};

/** The effects of one kind as their receiver sees them: under the key `<run id>/<call>`, or an odd one. */
export class Effects {
  readonly #ids: Ids;
  readonly #call: string;
  readonly #counts = new Counts();
  readonly #odd = new Map<string, Effect>();
  #repeats = 0;
  #distinct = 0;

  constructor(ids: Ids, call: string) {
    this.#ids = ids;
    this.#call = call;
  }

  /** Counted by key, as a receiver counts that drops repeats. */
  get distinct(): number {
    return this.#distinct;
  }

  note(effect: Effect): void {
    const index = this.#ids.index(effect.todo);
    const isRepeat =
      index !== undefined && effect.key === `${effect.todo}/${this.#call}`
        ? this.#counts.add(index) > 0
        : this.#odd.has(effect.key);
    if (isRepeat) this.#repeats += 1;
    else this.#distinct += 1;
    if (index === undefined || effect.key !== `${effect.todo}/${this.#call}`)
      this.#odd.set(effect.key, effect);
  }

  seen(): SeenEffects {
    return { counts: this.#counts.bytes, odd: [...this.#odd.values()], repeats: this.#repeats };
  }
}

export type Ends = {
  readonly accepted: Counts;
  readonly todos: Counts;
  readonly alerts: SeenEffects;
  readonly audits: SeenEffects;
};

/** The tally, and the ids of all that is wrong. */
export type Verdict = {
  readonly tally: Tally;
  readonly lost: readonly string[];
  readonly phantom: readonly string[];
  readonly doubled: readonly string[];
};

export const judge = ({ accepted, todos, alerts, audits }: Ends, ids: Ids): Verdict => {
  const kinds = [alerts, audits].map((seen) => kindOf(seen, ids));
  const isSaved = (id: string) => todos.at(ids.index(id) ?? -1) > 0;
  const acceptedIds = accepted.indexes().map(ids.of);
  const savedAgain = [...todos.indexes()].flatMap((index) =>
    Array.from({ length: todos.at(index) - 1 }, () => ids.of(index)),
  );
  const lost: string[] = [];
  let count = 0;
  for (const id of acceptedIds) {
    count += 1;
    if (!isSaved(id) || kinds.some(({ has }) => !has(id))) lost.push(id);
  }
  const phantom = kinds.flatMap(({ todosOfKeys }) =>
    todosOfKeys()
      .filter((id) => !isSaved(id))
      .toArray(),
  );
  const doubled = [...kinds.flatMap(({ second }) => second), ...savedAgain];
  const tally: Tally = {
    accepted: count,
    todos: [...todos.indexes()].reduce((sum, index) => sum + todos.at(index), 0),
    alerts: kinds[0]!.keys,
    audits: kinds[1]!.keys,
    lost: lost.length,
    phantom: phantom.length,
    doubled: doubled.length,
    repeats: alerts.repeats + audits.repeats,
  };
  return { tally, lost, phantom, doubled };
};

const kindOf = ({ counts, odd }: SeenEffects, ids: Ids) => {
  const expected = new Counts(counts);
  const oddTodos = new Set(odd.map(({ todo }) => todo));
  const isExpected = (id: string) => expected.at(ids.index(id) ?? -1) > 0;
  return {
    keys: [...expected.indexes()].length + odd.length,
    has: (id: string) => isExpected(id) || oddTodos.has(id),
    /** The todo of each key. */
    *todosOfKeys(): Generator<string> {
      for (const index of expected.indexes()) yield ids.of(index);
      for (const { todo } of odd) yield todo;
    },
    /** The todo of each key beyond its first. */
    second: odd
      .map(({ todo }) => todo)
      .filter((todo, position, all) => isExpected(todo) || all.indexOf(todo) !== position),
  };
};
