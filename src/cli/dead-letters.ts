import type { DeadLetters } from '../queue/queue.ts';
import { noStoreYet, openExisting } from './archive.ts';
import { isEmbedded, openQueue, openStore } from './compose.ts';
import { say } from './io.ts';
import type { Io } from './io.ts';
import { quiet } from './log.ts';
import type { Settings } from './settings.ts';

/**
 * Opens the dead letters, uses them and closes them. The embedded queue is in the store's file; no such file is
 * as good as no dead letters, with a word on stderr: looking at it must not make one.
 */
export const withDeadLetters = async <R>(
  { io, settings }: { io: Io; settings: Settings },
  access: 'read' | 'write',
  use: (deadLetters: DeadLetters) => Promise<R>,
): Promise<R> => {
  const open = isEmbedded(settings) ? openEmbedded(settings, access) : openQueue(settings, quiet);
  if (!open) say(io, noStoreYet(settings));
  try {
    return await use(open?.queue.deadLetters ?? none);
  } finally {
    await open?.close();
  }
};

const openEmbedded = (settings: Settings, access: 'read' | 'write') => {
  const existing = openExisting(settings);
  if (!existing) return undefined;
  if (access === 'write') existing.db.close();
  const { db } = access === 'write' ? openStore(settings) : existing;
  const open = openQueue(settings, quiet, db);
  const close = async () => {
    await open.close();
    db.close();
  };
  return { queue: open.queue, close };
};

const none: DeadLetters = { list: async () => [], requeue: async () => false, drop: async () => false };
