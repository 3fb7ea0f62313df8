import { execFileSync } from 'node:child_process';
import { readFileSync, readlinkSync } from 'node:fs';
import { hostname } from 'node:os';

/** Where processes live, and which of them do. */
export type Host = {
  /** The process that asks. */
  readonly pid: number;
  name(): string;
  /**
   * What tells a process from a later one with the same pid; nothing when there is no such process, and the empty
   * text when that cannot be told.
   */
  bornOf(pid: number): string | undefined;
};

/** Where a pid means something: containers may share a host's name, but not its processes. */
const here = (): string => `${hostname()} ${pidNamespace()}`;

const pidNamespace = (): string => {
  try {
    return readlinkSync('/proc/self/ns/pid');
  } catch {
    return ''; // not Linux
  }
};

const bornOf = (pid: number): string | undefined => {
  if (process.platform !== 'linux') return bornByPs(pid);
  try {
    // proc(5): the name in parentheses may hold anything; field 3 is the state, field 22 the start time in ticks.
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /s, '')
      .split(' ');
    return fields[0] === 'Z' ? undefined : `${bootId()} ${fields[19]}`;
  } catch (error) {
    return saysNoSuchProcess(error) ? undefined : ''; // out of file descriptors, every process would seem dead
  }
};

/** ESRCH: it ended between the opening of the file and its reading. */
const saysNoSuchProcess = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ESRCH');

let knownBootId: string | undefined;
const bootId = (): string => (knownBootId ??= readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim());

const bornByPs = (pid: number): string | undefined => {
  try {
    return (
      execFileSync('ps', ['-o', 'lstart=', '-p', String(pid)], {
        encoding: 'utf8',
        env: { LC_ALL: 'C' },
      }).trim() || undefined
    );
  } catch (error) {
    return error instanceof Error && 'status' in error && error.status === 1 ? undefined : '';
  }
};

export const thisHost: Host = { pid: process.pid, name: here, bornOf };
