import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Settings } from './settings.ts';

/** From src/cli and from dist/cli alike. */
const binary = fileURLToPath(new URL('../../bin/holdfast.js', import.meta.url));

/** What a worker in a process of its own is told; it knows no machines but the built-in one. */
export type WorkerProcessSettings = Omit<
  Settings,
  'machines' | 'callTimeout' | 'keep' | 'retryBase' | 'retryFor'
> & {
  readonly auditUrl: URL;
};

/** A real worker in a process of its own, to be killed. */
export type WorkerProcess = {
  readonly pid: number;
  /** Resolves when it says that it runs, which it does at the log level `info`. */
  readonly runs: Promise<void>;
  /** SIGSTOP and SIGCONT go to it and leave it alive. */
  signal(signal: 'SIGSTOP' | 'SIGCONT'): void;
  /** SIGKILL: it gets no chance to clean up. Resolves when it is gone. */
  crash(): Promise<void>;
  /** SIGTERM: it drains. Resolves when it is gone. */
  drain(): Promise<void>;
  /** Resolves when it has ended, however that was. */
  readonly gone: Promise<unknown>;
  /** Rejects when it ends without having been asked to, with what it said last. */
  readonly failed: Promise<never>;
};

export const startWorkerProcess = (settings: WorkerProcessSettings): WorkerProcess => {
  const child = spawn(process.execPath, [binary, 'worker', ...flagsOf(settings)], {
    env: environmentOf(settings),
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const running = Promise.withResolvers<void>();
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => {
    said = `${said}${chunk.toString()}`.slice(-2000);
    if (said.includes('the worker runs')) running.resolve();
  });
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
  const runs = Promise.race([running.promise, failed]);
  for (const promise of [runs, failed]) promise.catch(() => {}); // nobody may be waiting
  return {
    pid: child.pid!,
    runs,
    signal: (signal) => void child.kill(signal),
    crash: () => end('SIGKILL'),
    drain: () => end('SIGTERM'),
    gone,
    failed,
  };
};

const flagsOf = (settings: WorkerProcessSettings): string[] => {
  const { store, auditUrl, concurrency, retryCap, lease } = settings;
  return Object.entries({
    '--store': store,
    '--audit-url': auditUrl.href,
    '--concurrency': concurrency,
    '--retry-cap': `${retryCap}ms`,
    '--lease': `${lease}ms`,
  }).flatMap(([flag, value]) => [flag, `${value}`]);
};

/** The URL of the queue goes through the environment: a process list shows arguments to everyone. */
const environmentOf = (settings: WorkerProcessSettings): NodeJS.ProcessEnv => {
  const { queue, prefix, lap, ca, cert, certKey, auditVerify, logLevel } = settings;
  return {
    ...ownEnvironment(),
    HOLDFAST_QUEUE: queue,
    HOLDFAST_PREFIX: prefix,
    HOLDFAST_LAP: `${lap}ms`,
    ...(ca !== undefined && { HOLDFAST_CA: ca }),
    ...(cert !== undefined && { HOLDFAST_CERT: cert }),
    ...(certKey !== undefined && { HOLDFAST_CERT_KEY: certKey }),
    HOLDFAST_AUDIT_VERIFY: `${auditVerify}`,
    HOLDFAST_LOG_LEVEL: logLevel,
  };
};

/** Settings that a person made for a worker of their own are not for this one. */
const ownEnvironment = (): NodeJS.ProcessEnv =>
  Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('HOLDFAST_')));
