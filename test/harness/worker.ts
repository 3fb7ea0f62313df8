/** Real workers of the real binary, and the ends at which their work is counted. */
import { expect, onTestFinished } from 'vitest';
import { spawnHoldfast } from './cli.ts';
import type { CliProcess } from './cli.ts';
import { openEnds } from './ends.ts';
import type { Ends, EndsOptions } from './ends.ts';
import { tempDir } from './tmp.ts';

/** In a folder of the running test, until it is over. */
export const openSite = async (queue: string, options: Partial<EndsOptions> = {}): Promise<Ends> => {
  const ends = await openEnds({ queue, folder: tempDir(), ...options });
  onTestFinished(() => ends.close());
  return ends;
};

/** From when it says that it runs. */
export const startWorker = async (ends: Ends, flags: string[] = []): Promise<CliProcess> => {
  const worker = spawnHoldfast(['worker', ...ends.flags, ...flags]);
  await worker.waitForLine(/the worker runs/);
  return worker;
};

/** It drains, and leaves in good order. */
export const leave = async (worker: CliProcess, signal: NodeJS.Signals = 'SIGTERM'): Promise<void> => {
  worker.kill(signal);
  expect(await worker.exited, worker.stderr).toEqual({ code: 0, signal: null });
};
