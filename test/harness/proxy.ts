import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';

/** A line to a broker that a test can cut; whoever uses `url` goes through it. */
export type Proxy = {
  readonly url: string;
  /** Resets every connection, and refuses new ones until `heal`. */
  cut(): void;
  /** Nothing goes through in either direction, and nobody is told: as when a cable is pulled. */
  hush(): void;
  /** New connections go through again; those that were silent are reset, as a network does that forgot them. */
  heal(): void;
  close(): Promise<void>;
};

/** In front of an AMQP URL on loopback. */
export const startProxy = async (target: string): Promise<Proxy> => {
  const { port, hostname } = new URL(target);
  const sockets = new Set<Socket>();
  let state: 'open' | 'cut' | 'silent' = 'open';
  const keep = (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    socket.on('error', () => {}); // 'close' follows
  };
  const reset = () => {
    for (const socket of sockets) socket.resetAndDestroy();
  };
  const join = (near: Socket) => {
    const far = connect(Number(port), hostname);
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      keep(from);
      from.on('data', (chunk) => state === 'open' && to.write(chunk));
      from.once('close', () => to.destroy());
    }
  };
  const server = createServer((near) => {
    near.setNoDelay();
    if (state === 'open') join(near);
    else if (state === 'cut') near.resetAndDestroy();
    else keep(near);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = new URL(target);
  url.port = `${(server.address() as AddressInfo).port}`;
  return {
    url: url.href,
    cut() {
      state = 'cut';
      reset();
    },
    hush() {
      state = 'silent';
    },
    heal() {
      if (state === 'silent') reset();
      state = 'open';
    },
    async close() {
      server.close();
      reset();
      await once(server, 'close');
    },
  };
};
