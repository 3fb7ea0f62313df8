import { defineCommand } from '../command.ts';
import { openWorker } from '../compose.ts';
import { usage } from '../exit.ts';
import { openLog } from '../log.ts';
import { startAuditReceiver } from '../receiver.ts';
import { workerSettings } from '../settings.ts';
import { interrupted } from './worker.ts';

/** All that `worker` takes, but for the audit URL: the receiver comes along. */
const settings = workerSettings.filter((name) => !name.startsWith('audit'));

export const dev = defineCommand<{ port: string }>({
  name: 'dev',
  summary: 'A worker and an audit receiver in one process, for trying things out.',
  settings,
  options: (command) =>
    command.option('--port <port>', 'where the audit receiver listens on loopback; 0 takes a free one', '0'),
  examples: ['dev', 'dev --queue amqp://guest:guest@localhost'],
  async run({ io, settings: given }, { port }) {
    if (!/^\d{1,5}$/.test(port) || Number(port) > 65_535) throw usage('--port is not a port number');
    const log = await openLog(given, io);
    const receiver = await startAuditReceiver({
      port: Number(port),
      onEntry: ({ key, deliveries }) => log.info({ key, deliveries }, 'audit entry received'),
    });
    const open = await openWorker({ ...given, auditUrl: receiver.url, auditVerify: true }, log);
    try {
      await open.worker.start();
      log.info(
        { store: given.store, queue: open.queue.name, audit: receiver.url.href },
        'ready: try "holdfast submit" in another terminal',
      );
      await Promise.race([interrupted(io.interrupted), open.worker.broken]);
      log.info({}, 'finishing the calls that run; a second signal leaves at once');
    } finally {
      await open.close();
      await receiver.close();
    }
  },
});
