/** Between a worker and its broker: a connection that can be cut, and answers that can be withheld. */
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';

export type Proxy = {
  readonly port: number;
  /** Ends every connection at once, on both sides. The next one is taken. */
  cut(): void;
  /** Resolves when `text` went to the broker; from then on nothing comes back on that connection, until `release`. */
  withhold(text: string): Promise<void>;
  release(): void;
  close(): Promise<void>;
};

type Line = { readonly near: Socket; readonly far: Socket };

export const startProxy = async (target: { host: string; port: number }): Promise<Proxy> => {
  const lines = new Set<Line>();
  const withheld = new Set<Line>();
  let wanted: { text: string; seen: () => void } | undefined;
  const watch = (line: Line) => {
    let tail = Buffer.alloc(0);
    line.near.on('data', (chunk: Buffer) => {
      if (!wanted) return;
      const text = Buffer.concat([tail, chunk]);
      tail = text.subarray(-wanted.text.length);
      if (!text.includes(wanted.text)) return;
      line.far.unpipe(line.near).pause();
      withheld.add(line);
      wanted.seen();
      wanted = undefined;
    });
  };
  const server = createServer({ noDelay: true }, (near) => {
    const line = { near, far: connect({ ...target, noDelay: true }) };
    lines.add(line);
    watch(line);
    tie(line, () => lines.delete(line));
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const cut = () => {
    for (const line of lines) end(line);
  };
  return {
    port: (server.address() as AddressInfo).port,
    cut,
    withhold: (text) => new Promise((resolve) => (wanted = { text, seen: resolve })),
    release: () => {
      for (const { near, far } of withheld) far.pipe(near);
      withheld.clear();
    },
    close: async () => {
      cut();
      server.close();
      await once(server, 'close');
    },
  };
};

const tie = (line: Line, onEnd: () => void): void => {
  const { near, far } = line;
  near.pipe(far);
  far.pipe(near);
  for (const socket of [near, far]) {
    socket.on('error', () => end(line)); // a broker that is away, a worker that was killed
    socket.once('close', () => {
      end(line);
      onEnd();
    });
  }
};

const end = ({ near, far }: Line): void => {
  near.resetAndDestroy();
  far.resetAndDestroy();
};
