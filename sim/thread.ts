/** Plays the batches that the main thread asks for. */
import { parentPort } from 'node:worker_threads';
import { playBatch } from './batch.ts';
import type { Batch } from './batch.ts';

Error.stackTraceLimit = 0; // nobody reads them, and they were a tenth of the time

parentPort!.on('message', (batch: Batch) => {
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
  const tell = playBatch(batch).then((result) => parentPort!.postMessage(result));
  tell.catch((error: unknown) => setImmediate(() => fail(error)));
});

/** Outside of every promise: it ends the thread, and the main one hears of it. */
const fail = (error: unknown): never => {
  throw error;
};
