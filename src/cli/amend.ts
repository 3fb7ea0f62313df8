import type { Run, Step } from '../engine/run.ts';
import type { Store } from '../store/store.ts';
import { messageOf } from '../engine/errors.ts';
import { CliError, exitCodes } from './exit.ts';
import { findRun } from './find.ts';
import { say } from './io.ts';
import type { Io } from './io.ts';
import { safe, safeWords } from './output/safe.ts';

/** How often a step is taken anew because the run has moved on meanwhile. */
const tries = 10;

type Amendment = {
  /** The step to commit, or words for why none is needed. @throws CliError */
  readonly step: (run: Run) => Step | string;
  readonly done: (run: Run) => string;
};

/** Takes a person's step with each of the runs; one that cannot be helped does not hold up the others. */
export const amendRuns = async (
  store: Store,
  ids: readonly string[],
  amendment: Amendment,
  io: Io,
): Promise<number> => {
  let code: number = exitCodes.done;
  for (const id of ids) {
    try {
      say(io, `${safe(id)}: ${safe(await amendRun(store, id, amendment))}`);
    } catch (error) {
      if (!(error instanceof CliError)) throw error;
      say(io, `holdfast: ${safeWords(messageOf(error))}`);
      code = error.exitCode;
    }
  }
  return code;
};

const amendRun = async (store: Store, id: string, { step, done }: Amendment): Promise<string> => {
  for (let attempt = 1; attempt <= tries; attempt++) {
    const run = await findRun(store, id);
    const next = step(run);
    if (typeof next === 'string') return next;
    const outcome = await store.amend({ ...next, expected: run.seq });
    if (outcome.type === 'committed') return done(next.run);
    if (outcome.type === 'rejected')
      throw new CliError(exitCodes.failed, `${run.id}: the store refused a write: ${outcome.error}`);
  }
  throw new CliError(exitCodes.tryAgain, `${id} moves on too fast: try again`);
};
