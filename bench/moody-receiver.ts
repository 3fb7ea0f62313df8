/**
 * An audit service that is away until it is told to be back, and then takes so many entries at once and no more.
 * It counts what its port sees. A process of its own.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { answer } from './child.ts';

/** How long it works on an entry, in ms. */
const workMs = 10;

/** What came since the last time that somebody asked. */
export type Seen = {
  readonly requests: number;
  /** Entries that it took, by key, ever. */
  readonly taken: number;
  /** Entries that it took again under a key that it had, ever. */
  readonly repeats: number;
  /** Refused because it had more at once than it takes. */
  readonly overloads: number;
  /** The most requests at once. */
  readonly peak: number;
};

let capacity = 0;
let running = 0;
let counts = { requests: 0, overloads: 0, peak: 0 };
const taken = new Set<string>();
let repeats = 0;
let waiting: { count: number; reached: () => void } | undefined;

const take = (key: string): void => {
  if (taken.has(key)) repeats += 1;
  taken.add(key);
  if (waiting && taken.size >= waiting.count) waiting.reached();
};

const server = createServer({ keepAliveTimeout: 60_000 }, (request, response) => {
  counts.requests += 1;
  running += 1;
  counts.peak = Math.max(counts.peak, running);
  response.once('close', () => (running -= 1));
  const refuse = () => void request.resume().once('end', () => response.writeHead(503).end());
  if (capacity === 0) return refuse();
  if (running > capacity) {
    counts.overloads += 1;
    return refuse();
  }
  const key = JSON.parse(request.headers['idempotency-key'] as string) as string;
  const work = () => {
    take(key);
    response.writeHead(201, { 'content-length': 0 }).end();
  };
  request.resume().once('end', () => setTimeout(work, workMs));
  return undefined;
});
await new Promise<void>((resolve) => {
  server.listen(0, '127.0.0.1', resolve);
});

answer({
  url: () => `http://127.0.0.1:${(server.address() as AddressInfo).port}/audit`,
  /** From now on it takes so many at once. */
  back: (most: number) => void (capacity = most),
  seen: (): Seen => {
    const seen = { ...counts, taken: taken.size, repeats };
    counts = { requests: 0, overloads: 0, peak: 0 };
    return seen;
  },
  /** Answers when it has taken so many. */
  reached: (count: number) =>
    new Promise<void>((resolve) => {
      waiting = { count, reached: resolve };
      if (taken.size >= count) resolve();
    }),
  stop: () => {},
});
