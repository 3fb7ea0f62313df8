/** What the kernel and SQLite count by themselves, read from outside. What a system does not tell is left out. */
import { closeSync, openSync, readFileSync, readSync } from 'node:fs';

/** Counters of one moment, by name; the same names later give the difference. */
export type Counters = Readonly<Record<string, number>>;

/** proc(5), stat: times are in clock ticks, of which Linux shows 100 a second on every architecture. */
const tickMs = 10;

/** CPU time of a process since its start, in ms, in steps of 10. */
export const cpuOf = (pid: number): Counters => {
  const text = readProc(`${pid}/stat`);
  if (text === undefined) return {};
  // The name, in brackets, may have spaces in it. After it, user and system time are the 12th and 13th field.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return { cpu: (Number(fields[11]) + Number(fields[12])) * tickMs };
};

/** proc(5), io. `disk`: bytes that went to a file system; `writes`: bytes given to write(2), sockets included. */
export const writtenBy = (pid: number): Counters => {
  const text = readProc(`${pid}/io`);
  if (text === undefined) return {};
  const field = (name: string) => Number(new RegExp(`^${name}: (\\d+)$`, 'm').exec(text)![1]);
  return { disk: field('write_bytes'), writes: field('wchar') };
};

export const readProc = (file: string): string | undefined => {
  try {
    return readFileSync(`/proc/${file}`, 'utf8');
  } catch {
    return undefined; // no Linux, or not ours to read
  }
};

/**
 * How many transactions were committed to a database in WAL mode. The WAL index, in the -shm file, counts them at
 * byte 8 (sqlite.org/walformat.html), and goes on counting over checkpoints.
 */
export const commitsOf = (store: string): Counters => {
  const header = Buffer.alloc(12);
  try {
    const file = openSync(`${store}-shm`, 'r');
    const length = readSync(file, header, 0, header.length, 0);
    closeSync(file);
    return length === header.length ? { commits: header.readUInt32LE(8) } : {};
  } catch {
    return {}; // the floor has no store
  }
};

/** `{ cpu: 3 }` as `{ 'worker cpu': 3 }`. */
export const named = (name: string, counters: Counters): Counters =>
  Object.fromEntries(Object.entries(counters).map(([counter, value]) => [`${name} ${counter}`, value]));

/** What was counted between two moments, by each of so many todos. */
export const each = (before: Counters, after: Counters, todos: number): Counters =>
  Object.fromEntries(
    Object.entries(before)
      .filter(([name]) => name in after)
      .map(([name, value]) => [name, (after[name]! - value) / todos]),
  );
