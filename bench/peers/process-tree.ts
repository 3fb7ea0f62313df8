/** What processes have used, read from Linux's /proc. Elsewhere nobody knows. */
import { readdirSync } from 'node:fs';
import { readProc } from '../counters.ts';

/** CPU time in ms; memory in bytes, of which what several share is counted once. */
export type TreeUsage = { readonly cpu: number; readonly memory: number };

/** proc(5): times are in clock ticks, of which Linux shows 100 a second on every architecture. */
const tickMs = 10;

/** All descendants of a process, without itself, those that have ended included. */
export const descendantsOf = (root: number): TreeUsage | undefined => {
  if (process.platform !== 'linux') return undefined;
  const processes = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => statOf(Number(pid)) ?? []);
  const tree = new Set([root]);
  // Parents first: a child may have a smaller number than its parent where numbers came round.
  for (let size = 0; size < tree.size;) {
    size = tree.size;
    for (const { pid, parent } of processes) if (tree.has(parent)) tree.add(pid);
  }
  const found = processes.filter(({ pid }) => pid !== root && tree.has(pid));
  return {
    cpu: found.reduce((sum, { cpu }) => sum + cpu, 0),
    memory: found.reduce((sum, { pid }) => sum + memoryOf(pid), 0),
  };
};

type Stat = { pid: number; parent: number; cpu: number };

const statOf = (pid: number): Stat | undefined => {
  const text = readProc(`${pid}/stat`);
  if (text === undefined) return undefined;
  // The name, in brackets, may have spaces in it. After it: state, parent; user, system and those of ended children.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const cpu = fields.slice(11, 15).reduce((sum, field) => sum + Number(field) * tickMs, 0);
  return { pid, parent: Number(fields[1]), cpu };
};

const memoryOf = (pid: number): number => {
  const [, kib = '0'] = /^Pss:\s+(\d+)/m.exec(readProc(`${pid}/smaps_rollup`) ?? '') ?? [];
  return Number(kib) * 1024;
};
