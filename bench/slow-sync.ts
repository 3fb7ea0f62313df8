/** A disk whose fsync takes longer, for one process: a small library that is preloaded into it, and counts as well. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';

export type SlowSync = {
  /** The environment of a process whose fsyncs take so much longer, in ms, and are counted in a file. */
  readonly environment: (countFile: string, delayMs: number) => Record<string, string>;
};

/** @throws where there is no C compiler, or no Linux */
export const compileSlowSync = (folder: string): SlowSync => {
  if (process.platform !== 'linux') throw new Error('fsyncs are counted and delayed on Linux only');
  const library = path.join(folder, 'slow-sync.so');
  try {
    execFileSync(
      'cc',
      ['-O2', '-shared', '-fPIC', '-o', library, path.join(import.meta.dirname, 'slow-sync.c'), '-ldl'],
      { stdio: 'pipe' },
    );
  } catch (cause) {
    const { code, stderr } = cause as { code?: string; stderr?: Buffer };
    const why = code === 'ENOENT' ? 'no C compiler is installed' : `cc failed: ${stderr?.toString().trim()}`;
    throw new Error(`fsyncs cannot be counted or delayed: ${why} (Debian: apt-get install gcc libc6-dev)`, {
      cause,
    });
  }
  return {
    environment: (countFile, delayMs) => ({
      LD_PRELOAD: library,
      SLOW_SYNC_COUNT: countFile,
      SLOW_SYNC_MICROSECONDS: `${Math.round(delayMs * 1000)}`,
    }),
  };
};

/** How many fsyncs were counted there so far. @throws where the library was not loaded */
export const syncsIn = (countFile: string): number => Number(readFileSync(countFile).readBigUInt64LE());
