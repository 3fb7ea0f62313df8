import {
  closeSync,
  fdatasyncSync,
  openSync,
  readFileSync,
  realpathSync,
  rmSync,
  statfsSync,
  writeSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import Sqlite from 'better-sqlite3';
import { now } from './clock.ts';
import { percentile } from './stats.ts';

/** What a figure cannot be read without. */
export type Machine = {
  readonly cpu: string;
  readonly cores: number;
  /** GiB. */
  readonly memory: number;
  readonly system: string;
  readonly node: string;
  readonly rabbitmq: string;
  readonly sqlite: string;
  readonly filesystem: string;
  /** Median of a 4 KiB append and fdatasync there, in ms. */
  readonly syncMs: number;
};

export const describeMachine = (folder: string, rabbitmq: string): Machine => ({
  cpu: os.cpus()[0]?.model.trim() ?? 'unknown',
  cores: os.availableParallelism(),
  memory: Math.round(os.totalmem() / 2 ** 30),
  system: `${os.type()} ${os.release().replace(/-.*/, '')} ${os.arch()}`,
  node: process.versions.node,
  rabbitmq,
  sqlite: sqliteVersion(),
  filesystem: filesystemOf(folder),
  syncMs: syncTime(folder),
});

/** The type of the file system that a folder is on: `ext4`. */
export const filesystemOf = (folder: string): string => {
  if (process.platform !== 'linux') return `type ${statfsSync(folder).type}`;
  const where = realpathSync(folder);
  // proc(5), mountinfo: field 5 is the mount point; the type comes after " - ". Later mounts hide earlier ones.
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8')
    .trim()
    .split('\n')
    .map((line) => {
      const [before = '', after = ''] = line.split(' - ');
      return { point: before.split(' ')[4] ?? '/', type: after.split(' ')[0] ?? 'unknown' };
    });
  const holds = ({ point }: { point: string }) =>
    where === point || where.startsWith(point.endsWith('/') ? point : `${point}/`);
  const found = mounts
    .filter(holds)
    .reduce((best, mount) => (mount.point.length >= best.point.length ? mount : best));
  return found.type;
};

const sqliteVersion = (): string => {
  const db = new Sqlite(':memory:');
  const version = db.prepare('SELECT sqlite_version()').pluck().get() as string;
  db.close();
  return version;
};

const syncTime = (folder: string): number => {
  const file = path.join(folder, 'sync-probe');
  const descriptor = openSync(file, 'w');
  const page = Buffer.alloc(4096, 1);
  const times = Array.from({ length: 200 }, () => {
    const began = now();
    writeSync(descriptor, page);
    fdatasyncSync(descriptor);
    return now() - began;
  });
  closeSync(descriptor);
  rmSync(file);
  return percentile(times, 50);
};
