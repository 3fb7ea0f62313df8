/** Holdfast as `holdfast worker` composes it, taking the same flags. A process of its own. */
import { setTimeout as delay } from 'node:timers/promises';
import { Command } from 'commander';
import { openWorker } from '../src/cli/compose.ts';
import { openLog } from '../src/cli/log.ts';
import { readSettings, withSettings, workerSettings } from '../src/cli/settings.ts';
import { answer } from './child.ts';

const settings = readSettings(withSettings(new Command('holdfast'), workerSettings).parse());
const log = await openLog(settings, { err: process.stderr } as never);
const { worker, close } = await openWorker({ ...settings, auditUrl: settings.auditUrl! }, log);
await worker.start();

/** Of the heap and of the whole process, in bytes, once everything that can be freed is freed. */
export type AtRest = { readonly heap: number; readonly rss: number };

answer({
  stop: close,
  /** Answers when no more than so many runs are in hand, all of which wait. Needs --expose-gc. */
  rest: async (inHand: number): Promise<AtRest> => {
    while (worker.inHand > inHand) await delay(10);
    globalThis.gc!();
    const { heapUsed, rss } = process.memoryUsage();
    return { heap: heapUsed, rss };
  },
});
