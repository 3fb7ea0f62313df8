import { setTimeout as delay } from 'node:timers/promises';
import { Option } from 'commander';
import type { FinalStatus } from '../../engine/run.ts';
import type { Queue } from '../../queue/queue.ts';
import type { Retired, Store } from '../../store/store.ts';
import { withArchive } from '../archive.ts';
import { defineCommand } from '../command.ts';
import { openQueue, openStore } from '../compose.ts';
import { parseDuration } from '../duration.ts';
import { CliError, exitCodes, usage } from '../exit.ts';
import { print, say } from '../io.ts';
import type { Io } from '../io.ts';
import { quiet } from '../log.ts';
import { outputOption, printJson } from '../output/format.ts';
import { progressBar } from '../output/progress.ts';
import { iso } from '../output/time.ts';
import { leastAge, queueSettings, tooYoung } from '../settings.ts';
import type { Settings } from '../settings.ts';

type PruneOptions = {
  readonly olderThan: string;
  readonly status: FinalStatus[];
  readonly dryRun?: boolean;
  readonly output: 'text' | 'json';
};

/** A worker on the same store waits one to two ms for it, and has the store to itself between two. */
const batchSize = 100;
const gapMs = 10;

/** How often the queue is asked whether a message is ready, and how many times at most. */
const askMs = 200;
const asks = 10;

export const pruneCommand = defineCommand<PruneOptions>({
  name: 'prune',
  summary:
    'Forget runs that ended long ago, with their histories. What they wrote and sent stays. Their keys are free: submitted again, each is a new run.',
  settings: queueSettings,
  options: (command) =>
    command
      .requiredOption('--older-than <duration>', 'how long ago they ended: 30d; at least 1h, and two laps')
      .addOption(
        new Option('--status <status...>', 'how they ended; a failed one cannot be retried any more')
          .choices(['done', 'cancelled', 'failed'])
          .default(['done', 'cancelled']),
      )
      .option('--dry-run', 'only count them')
      .addOption(outputOption(['text', 'json'])),
  examples: [
    'prune --older-than 30d --dry-run',
    'prune --older-than 30d',
    'prune --older-than 90d --status failed -o json | jq .pruned',
  ],
  async run({ io, settings }, { olderThan, status, dryRun = false, output }) {
    const retired = { before: Date.now() - ageOf(olderThan, settings), statuses: status };
    const found = await withArchive(settings, ({ archive }) => archive.prunable(retired));
    const pruned = dryRun || found === 0 ? 0 : await prune({ io, settings }, retired, found);
    report(io, { output, dryRun, found, pruned, before: retired.before });
    if (io.interrupted.aborted) return exitCodes[io.interrupted.reason as 'SIGINT' | 'SIGTERM'];
    return exitCodes.done;
  },
});

/** @throws CliError */
const ageOf = (text: string, settings: Settings): number => {
  const age = parseDuration(text);
  if (age === undefined) throw usage('--older-than is not a duration; write 2h or 30d');
  if (age < leastAge(settings)) throw usage(`--older-than ${tooYoung}`);
  return age;
};

const prune = async (
  { io, settings }: { io: Io; settings: Settings },
  retired: Retired,
  found: number,
): Promise<number> => {
  const { db, store } = openStore(settings);
  const { queue, close } = openQueue(settings, quiet, db);
  try {
    await caughtUp(queue, io.interrupted);
    return await forget({ io, store }, retired, found);
  } finally {
    await close();
    db.close();
  }
};

/**
 * A message that is ready may be of a run that has ended, and would begin it anew. Twice in a row none, because the
 * last one may still be in a worker's hands. @throws CliError
 */
const caughtUp = async (queue: Pick<Queue, 'depth'>, signal: AbortSignal): Promise<void> => {
  for (let asked = 0, idle = 0; asked < asks && !signal.aborted; asked++) {
    const { ready } = await queue.depth();
    idle = ready === 0 ? idle + 1 : 0;
    if (idle === 2) return;
    await delay(askMs, undefined, { signal }).catch(() => {});
  }
  if (signal.aborted) return;
  throw new CliError(
    exitCodes.tryAgain,
    'nothing was pruned: messages are ready in the queue, and one may be of a run that has ended; run a worker until it has caught up',
  );
};

const forget = async (
  { io, store }: { io: Io; store: Pick<Store, 'prune'> },
  retired: Retired,
  found: number,
): Promise<number> => {
  const bar = progressBar(io, 'pruned');
  let pruned = 0;
  for (let count = batchSize; count === batchSize && !io.interrupted.aborted;) {
    count = await store.prune(retired, batchSize);
    pruned += count;
    bar.update(pruned, Math.max(found, pruned));
    await delay(gapMs);
  }
  bar.end();
  return pruned;
};

type Report = {
  readonly output: PruneOptions['output'];
  readonly dryRun: boolean;
  readonly found: number;
  readonly pruned: number;
  readonly before: number;
};

const report = (io: Io, { output, dryRun, found, pruned, before }: Report): void => {
  if (output === 'json') printJson(io, { dryRun, endedBefore: iso(before), found, pruned });
  else if (dryRun) print(io, `${found} ${found === 1 ? 'run' : 'runs'} would be pruned`);
  else print(io, `${pruned} ${pruned === 1 ? 'run' : 'runs'} pruned`);
  if (pruned > 0)
    say(
      io,
      'The file keeps its size; new runs fill the room. VACUUM makes it smaller, while no worker runs.',
    );
};
