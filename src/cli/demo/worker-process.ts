import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Settings } from '../settings.ts';

/** From src/cli/demo and from dist/cli/demo alike. */
const binary = fileURLToPath(new URL('../../../bin/holdfast.js', import.meta.url));

/** Few at a time, so that a crash finds runs in every stage. */
const concurrency = 4;

/** A real worker in a process of its own, to be killed. */
export type WorkerProcess = {
  /** SIGKILL: it gets no chance to clean up. Resolves when it is gone. */
  crash(): Promise<void>;
  /** SIGTERM: it drains. Resolves when it is gone. */
  drain(): Promise<void>;
  /** Rejects when it ends without having been asked to, with what it said last. */
  readonly failed: Promise<never>;
};

export const startWorkerProcess = (settings: Settings, auditUrl: URL): WorkerProcess => {
  const { store, queue, prefix, lap, ca, cert, certKey } = settings;
  // The URL of the queue goes through the environment: a process list shows arguments to everyone.
  const env = {
    ...process.env,
    HOLDFAST_QUEUE: queue,
    HOLDFAST_PREFIX: prefix,
    HOLDFAST_LAP: `${lap}ms`,
    ...(ca !== undefined && { HOLDFAST_CA: ca }),
    ...(cert !== undefined && { HOLDFAST_CERT: cert }),
    ...(certKey !== undefined && { HOLDFAST_CERT_KEY: certKey }),
    HOLDFAST_LOG_LEVEL: 'warn',
  };
  const args = [
    binary,
    'worker',
    '--store',
    store,
    '--audit-url',
    auditUrl.href,
    '--audit-verify',
    '--concurrency',
    String(concurrency),
    '--retry-cap',
    '1s',
  ];
  const child = spawn(process.execPath, args, { env, stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => (said = `${said}${chunk.toString()}`.slice(-2000)));
  const gone = once(child, 'exit');
  let asked = false;
  const end = async (signal: NodeJS.Signals) => {
    asked = true;
    child.kill(signal);
    await gone;
  };
  const failed = gone.then(([code]) => {
    if (asked) return new Promise<never>(() => {});
    throw new Error(`the worker ended by itself (exit code ${String(code)}): ${said.trim()}`);
  });
  failed.catch(() => {});
  return { crash: () => end('SIGKILL'), drain: () => end('SIGTERM'), failed };
};
