import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import path from 'node:path';
import { heldWord } from './crash-worker.ts';
import type { Plan } from './crash-worker.ts';
import type { Counts } from './points.ts';

/** A process that stands still at a point. */
export type Child = {
  readonly process: ChildProcess;
  /** Resolves when it stands there. Rejects when it ended before. */
  readonly held: Promise<void>;
  release(): void;
  readonly exited: Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }>;
  /** What a worker says at the end of its drain. */
  counts(): Promise<Counts>;
};

/** A program of this folder, from src and from dist alike. */
export const programOf = (name: string): string =>
  path.join(import.meta.dirname, `${name}${path.extname(import.meta.filename)}`);

/** Starts a program that takes a plan; it ends with this process at the latest. */
export const startChild = (program: string, plan: Plan): Child => {
  const child = fork(program, { stdio: ['pipe', 'pipe', 'inherit', 'ipc'], execArgv: [] });
  const held = Promise.withResolvers<void>();
  held.promise.catch(() => {}); // nobody may be waiting for it
  const lines: string[] = [];
  createInterface({ input: child.stdout! }).on('line', (line) => {
    if (line === heldWord) held.resolve();
    else lines.push(line);
  });
  const exited = once(child, 'close').then(([code, signal]: unknown[]) => {
    held.reject(new Error(`the process ended before it stood at its point (${String(signal ?? code)})`));
    return { code: code as number | null, signal: signal as NodeJS.Signals | null };
  });
  child.stdin!.on('error', () => {}); // it may be dead already
  child.send(plan);
  return {
    process: child,
    held: held.promise,
    release: () => void child.stdin!.write('.'),
    exited,
    counts: async () => {
      await exited;
      return JSON.parse(lines.join('')) as Counts;
    },
  };
};
