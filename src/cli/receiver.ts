import { serve } from '@hono/node-server';
import { Hono } from 'hono';
import { bodyLimit } from 'hono/body-limit';

/** What a receiver has seen under one key: a well-made one acts on the first and drops the repeats. */
export type Received = { readonly key: string; readonly body: unknown; readonly deliveries: number };

export type AuditReceiver = {
  readonly url: URL;
  /** By idempotency key, in the order of arrival. */
  readonly received: ReadonlyMap<string, Received>;
  close(): Promise<void>;
};

type ReceiverOptions = {
  readonly port?: number;
  /** Called before each answer; the answer waits for it. */
  readonly onEntry?: (entry: Received) => void | Promise<void>;
};

/** An audit service of the kind that Holdfast calls, on loopback: it keeps entries by key and drops repeats. */
export const startAuditReceiver = async ({ port = 0, onEntry }: ReceiverOptions = {}): Promise<AuditReceiver> => {
  const received = new Map<string, Received>();
  const app = new Hono();
  app.post('/audit', bodyLimit({ maxSize: 1024 * 1024 }), async (context) => {
    const key = context.req.header('idempotency-key');
    if (key === undefined) return context.text('Idempotency-Key is missing', 400);
    const before = received.get(key);
    const entry = { key: unquoted(key), body: await context.req.json<unknown>(), deliveries: (before?.deliveries ?? 0) + 1 };
    received.set(key, entry);
    await onEntry?.(entry);
    return context.body(null, before ? 200 : 201);
  });
  const listening = Promise.withResolvers<number>();
  const server = serve({ fetch: app.fetch, port, hostname: '127.0.0.1' }, (info) => listening.resolve(info.port));
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

/** The header carries a quoted string. */
const unquoted = (key: string): string => (key.startsWith('"') ? (JSON.parse(key) as string) : key);
