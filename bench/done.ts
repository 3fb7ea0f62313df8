/** When each todo was done, as its worker itself notes it. */
import { now } from './clock.ts';

export type Done = { readonly ids: readonly string[]; readonly times: readonly number[] };

export type DoneNotes = {
  readonly note: (id: string) => void;
  /** For the parent to ask. */
  readonly questions: {
    readonly doneSoFar: () => number;
    /** Answers when so many are done. */
    readonly allDone: (count: number) => Promise<void>;
    readonly takeDone: () => Done;
  };
};

export const noteDone = (): DoneNotes => {
  const times = new Map<string, number>();
  let waiting: { count: number; reached: () => void } | undefined;
  return {
    note: (id) => {
      times.set(id, now());
      if (waiting && times.size >= waiting.count) waiting.reached();
    },
    questions: {
      doneSoFar: () => times.size,
      allDone: (count) =>
        new Promise((resolve) => {
          waiting = { count, reached: resolve };
          if (times.size >= count) resolve();
        }),
      takeDone: () => ({ ids: [...times.keys()], times: [...times.values()] }),
    },
  };
};
