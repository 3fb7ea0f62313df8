import { setTimeout as delay } from 'node:timers/promises';
import { defineCommand } from '../command.ts';
import { openWorker } from '../compose.ts';
import type { OpenWorker } from '../compose.ts';
import { usage } from '../exit.ts';
import { openLog } from '../log.ts';
import { workerSettings } from '../settings.ts';

/** How often `--drain` asks whether anything is left, in ms: no queue tells. */
const askMs = 200;

export const worker = defineCommand<{ drain?: boolean }>({
  name: 'worker',
  summary: 'Run the machines: resume what is unfinished, then take new work.',
  settings: workerSettings,
  options: (command) => command.option('--drain', 'leave when the queue is empty and every run is final'),
  examples: [
    'worker --audit-url http://localhost:8080/audit',
    'worker --queue amqp://guest:guest@localhost --audit-url http://localhost:8080/audit',
    'worker --drain --audit-url http://localhost:8080/audit',
  ],
  async run({ io, settings }, { drain }) {
    const { auditUrl } = settings;
    if (!auditUrl) {
      throw usage(
        'worker needs to know where audit entries go: give --audit-url (or HOLDFAST_AUDIT_URL); "holdfast dev" brings a receiver along',
      );
    }
    const log = await openLog(settings, io);
    const open = await openWorker({ ...settings, auditUrl }, log);
    try {
      await open.worker.start();
      log.info({ store: settings.store, queue: open.queue.name }, 'the worker runs');
      await Promise.race([
        drain ? empty(open, io.interrupted) : interrupted(io.interrupted),
        open.worker.broken,
      ]);
      if (io.interrupted.aborted)
        log.info({ signal: String(io.interrupted.reason) }, 'draining; a second signal leaves at once');
    } finally {
      await open.close();
    }
    log.info(
      { unfinished: open.worker.inHand },
      'the worker has left; what is unfinished goes on with the next one',
    );
  },
});

export const interrupted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });

/** Resolves when nothing is left to do: no message is ready, and no run is unfinished. */
const empty = async ({ queue, store, worker: running }: OpenWorker, signal: AbortSignal): Promise<void> => {
  while (!signal.aborted) {
    const depth = await queue.depth().catch(() => undefined); // the broker is away: not empty yet
    const census = await store.census();
    if (depth?.ready === 0 && running.inHand === 0 && !census.some(({ status }) => status === 'active'))
      return;
    await delay(askMs, undefined, { signal }).catch(() => {});
  }
};
