/** Holdfast as `holdfast worker` composes it, taking the same flags. A process of its own. */
import { setTimeout as delay } from 'node:timers/promises';
import { Command } from 'commander';
import { assemble, openPorts } from '../src/cli/compose.ts';
import { openLog } from '../src/cli/log.ts';
import { readSettings, withSettings, workerSettings } from '../src/cli/settings.ts';
import { isFinal } from '../src/engine/run.ts';
import type { Store } from '../src/store/store.ts';
import { answer } from './child.ts';
import { noteDone } from './done.ts';

const settings = readSettings(withSettings(new Command('holdfast'), workerSettings).parse());
const log = await openLog(settings, { err: process.stderr } as never);
const done = noteDone();

/** A run is done when the commit that makes it final is durable. */
const noteCommits = (store: Store): void => {
  const commit = store.commit.bind(store);
  store.commit = async (worker, changes) => {
    const outcomes = await commit(worker, changes);
    for (const { run } of changes) if (isFinal(run)) done.note(run.id);
    return outcomes;
  };
};

const ports = await openPorts({ ...settings, auditUrl: settings.auditUrl! }, log);
if (process.env['NOTE_DONE']) noteCommits(ports.store);
const { worker, close } = await assemble(ports, settings, log);
await worker.start();

/** Of the heap and of the whole process, in bytes, once everything that can be freed is freed. */
export type AtRest = { readonly heap: number; readonly rss: number };

answer({
  ...done.questions,
  stop: close,
  /** Answers when no more than so many runs are in hand, all of which wait. Needs --expose-gc. */
  rest: async (inHand: number): Promise<AtRest> => {
    while (worker.inHand > inHand) await delay(10);
    globalThis.gc!();
    const { heapUsed, rss } = process.memoryUsage();
    return { heap: heapUsed, rss };
  },
});
