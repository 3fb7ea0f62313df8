import { fork } from 'node:child_process';
import type { ChildProcess, StdioOptions } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { heldWord, readyWord } from './crash-worker.ts';
import type { Plan } from './crash-worker.ts';
import type { Counts } from './points.ts';

/** A process that stands still at a point. */
export type Child = {
  readonly process: ChildProcess;
  /** Resolves when it stands at its next point. Rejects when it ended before. */
  readonly held: () => Promise<void>;
  readonly release: () => void;
  /** Resolves when a worker heeds SIGTERM. Rejects when it ended before. */
  readonly ready: Promise<void>;
  readonly exited: Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }>;
  /** What a worker says at the end of its drain. */
  readonly counts: () => Promise<Counts>;
};

/** A program of this folder, from src and from dist alike. */
export const programOf = (name: string): string =>
  path.join(import.meta.dirname, `${name}${path.extname(import.meta.filename)}`);

/** Starts a program that takes a plan; it ends with this process at the latest. */
export const startChild = (program: string, plan: Plan): Child => {
  const child = forkChild(program, ['pipe', 'pipe', 'inherit', 'ipc']);
  let next = awaited();
  const ready = awaited();
  const lines: string[] = [];
  createInterface({ input: child.stdout! }).on('line', (line) => {
    if (line === readyWord) ready.resolve();
    else if (line === heldWord) next.resolve();
    else lines.push(line);
  });
  const exited = once(child, 'close').then(([code, signal]: unknown[]) => {
    const ended = new Error(`the process ended before it came to its point (${String(signal ?? code)})`);
    next.reject(ended);
    ready.reject(ended);
    return { code: code as number | null, signal: signal as NodeJS.Signals | null };
  });
  child.stdin!.on('error', () => {}); // it may be dead already
  child.send(plan);
  return {
    process: child,
    ready: ready.promise,
    held: async () => {
      await next.promise;
      next = awaited();
    },
    release: () => void child.stdin!.write('.'),
    exited,
    counts: async () => {
      await exited;
      return JSON.parse(lines.join('')) as Counts;
    },
  };
};

/** Halves the start of a process, of which a proof has hundreds. */
const compileCache = fileURLToPath(new URL('../../../node_modules/.cache/holdfast', import.meta.url));

export const forkChild = (program: string, stdio: StdioOptions): ChildProcess =>
  fork(program, { stdio, execArgv: [], env: { ...process.env, NODE_COMPILE_CACHE: compileCache } });

/** Nobody may be waiting when it rejects. */
const awaited = (): PromiseWithResolvers<void> => {
  const resolvers = Promise.withResolvers<void>();
  resolvers.promise.catch(() => {});
  return resolvers;
};
