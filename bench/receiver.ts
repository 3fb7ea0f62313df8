/**
 * The audit service, as fast as node:http is: it notes when each key first came, and answers. A process of its own.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { answer } from './child.ts';
import { now } from './clock.ts';

/** When each key came first (ms, `now`), in the order of arrival, and how many came again. */
export type Arrivals = {
  readonly keys: readonly string[];
  readonly times: readonly number[];
  readonly repeats: number;
};

let times = new Map<string, number>();
let repeats = 0;
let waiting: { count: number; reached: () => void } | undefined;

let holdsFrom = Infinity;
const held = new Set<() => void>();

const receive = (key: string): void => {
  if (times.has(key)) repeats += 1;
  else times.set(key, now());
  if (waiting && times.size >= waiting.count) waiting.reached();
};

const server = createServer({ keepAliveTimeout: 60_000 }, (request, response) => {
  request.resume().once('end', () => {
    receive(JSON.parse(request.headers['idempotency-key'] as string) as string);
    const reply = () => void response.writeHead(201, { 'content-length': 0 }).end();
    if (times.size >= holdsFrom) held.add(reply);
    else reply();
  });
});
await new Promise<void>((resolve) => {
  server.listen(0, '127.0.0.1', resolve);
});

answer({
  url: () => `http://127.0.0.1:${(server.address() as AddressInfo).port}/audit`,
  /** Answers when so many keys have come, or after `limit` ms with how many have. */
  reached: ({ count, limit }: { count: number; limit: number }) =>
    new Promise<number>((resolve) => {
      const done = () => {
        clearTimeout(timer);
        waiting = undefined;
        resolve(times.size);
      };
      const timer = setTimeout(done, limit);
      waiting = { count, reached: done };
      if (times.size >= count) done();
    }),
  /** From the n-th key on nobody is answered, until the next call; those who wait are answered now. */
  hold: (from: number) => {
    holdsFrom = from;
    for (const reply of held) reply();
    held.clear();
  },
  /** Empties what was noted. */
  take: (): Arrivals => {
    const arrivals = { keys: [...times.keys()], times: [...times.values()], repeats };
    times = new Map();
    repeats = 0;
    return arrivals;
  },
  stop: () => {},
});
