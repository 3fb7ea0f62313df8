/** A worker that acts on a commit before it is made. */
import type { Ports } from '../../src/cli/compose.ts';
import { runCrashWorker } from '../../src/cli/prove/crash-worker.ts';
import type { Change, Outcome, Store } from '../../src/store/store.ts';
import { replacing } from './replacing.ts';

/** In ms. */
const lateBy = 500;

const callEarly = ({ store, ...ports }: Ports): Ports => {
  const commit = async (worker: string, changes: readonly Change[]): Promise<Outcome[]> => {
    setTimeout(() => void store.commit(worker, changes), lateBy);
    return changes.map(() => ({ type: 'committed' }));
  };
  return { ...ports, store: replacing<Store>(store, { commit }) };
};

await runCrashWorker(callEarly);
