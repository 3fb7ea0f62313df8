import type { Readable, Writable } from 'node:stream';

/** Where a command reads and writes: data to `out`, words to `err`. */
export type Io = {
  readonly in: Readable;
  readonly out: Writable & { readonly isTTY?: boolean; readonly columns?: number };
  readonly err: Writable & { readonly isTTY?: boolean; readonly columns?: number };
  /** Aborts when the process is asked to end (SIGINT, SIGTERM); its reason is the signal's name. */
  readonly interrupted: AbortSignal;
};

export const print = (io: Io, line: string): void => void io.out.write(`${line}\n`);

export const say = (io: Io, line: string): void => void io.err.write(`${line}\n`);
