import { serve } from '@hono/node-server';
import { Hono } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import type { ContentfulStatusCode } from 'hono/utils/http-status';

/** What a receiver has seen under one key: a well-made one acts on the first and drops the repeats. */
export type Received = { readonly key: string; readonly body: unknown; readonly deliveries: number };

export type AuditReceiver = {
  readonly url: URL;
  /** By idempotency key, in the order of arrival. */
  readonly received: ReadonlyMap<string, Received>;
  close(): Promise<void>;
};

type Refusal = number | undefined | void;

type ReceiverOptions = {
  readonly port?: number;
  /** Called before each answer, which waits for it. A status that it returns is the answer: the entry is refused. */
  readonly onEntry?: (entry: Received) => Refusal | Promise<Refusal>;
};

/** In bytes; an entry has the input of a run in it, which is 64 KiB at most. */
const longestEntry = 1024 * 1024;

/** An audit service of the kind that Holdfast calls, on loopback: it keeps entries by key, drops repeats, and says which it has. */
export const startAuditReceiver = async ({
  port = 0,
  onEntry,
}: ReceiverOptions = {}): Promise<AuditReceiver> => {
  const received = new Map<string, Received>();
  const taken = new Set<string>();
  const app = new Hono();
  app.post('/audit', bodyLimit({ maxSize: longestEntry }), async (context) => {
    const header = context.req.header('idempotency-key');
    if (header === undefined) return context.text('Idempotency-Key is missing', 400);
    const key = unquoted(header);
    const body = parsed(await context.req.text());
    if (key === undefined || body === undefined) return context.text('the key or the entry is not JSON', 400);
    const before = received.get(key);
    const entry = { key, body, deliveries: (before?.deliveries ?? 0) + 1 };
    received.set(key, entry);
    const refusal = await onEntry?.(entry);
    if (refusal !== undefined) {
      if (before) received.set(key, before);
      else received.delete(key);
      return context.text('refused', refusal as ContentfulStatusCode);
    }
    taken.add(key);
    return context.body(null, before ? 200 : 201);
  });
  // 409 while the entry is thought about: nobody can tell yet.
  app.get('/audit/:key', (context) => {
    const key = context.req.param('key');
    return context.body(null, taken.has(key) ? 200 : received.has(key) ? 409 : 404);
  });
  const listening = Promise.withResolvers<number>();
  const server = serve({ fetch: app.fetch, port, hostname: '127.0.0.1' }, (info) =>
    listening.resolve(info.port),
  );
  server.once('error', listening.reject);
  const url = new URL(`http://127.0.0.1:${await listening.promise}/audit`);
  return {
    url,
    received,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        if ('closeAllConnections' in server) server.closeAllConnections();
      }),
  };
};

/** The header carries a quoted string; nothing where it begins as one and is none. */
const unquoted = (header: string): string | undefined =>
  header.startsWith('"') ? (parsed(header) as string | undefined) : header;

const parsed = (text: string): unknown => {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
};
