/** Brings what the peers need: packages of npm for all, Debian's redis-server for one. Done at once when all is there. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';

const folder = import.meta.dirname;

/** @throws when npm cannot install them. */
export const installPackages = (progress: (line: string) => void): void => {
  if (lockOf('node_modules/.package-lock.json') === lockOf('package-lock.json')) return;
  progress('installing the peers…');
  const { ok, output } = run('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error']);
  if (!ok) throw new Error(`the peers' packages were not installed:\n${output}`);
};

/** What is installed: npm writes the same list, less itself and what other platforms need, below node_modules. */
const lockOf = (file: string): string => {
  try {
    const { packages } = JSON.parse(readFileSync(path.join(folder, file), 'utf8')) as {
      packages: Record<string, { version: string; optional?: boolean }>;
    };
    const versions = Object.entries(packages).filter(([name, { optional }]) => name !== '' && !optional);
    return JSON.stringify(versions.map(([name, { version }]) => `${name}@${version}`).toSorted());
  } catch {
    return `no ${file}`;
  }
};

/** Why there is no redis-server; undefined when there is one. */
export const installRedis = (progress: (line: string) => void): string | undefined => {
  if (hasRedis()) return undefined;
  if (!run('apt-get', ['--version']).ok || process.getuid?.() !== 0)
    return 'redis-server is not installed: install it, then try again';
  progress('installing Redis…');
  // Debian would start a daemon; in a service's stead, this measurement starts its own.
  const script = `
    policy=/usr/sbin/policy-rc.d
    if [ ! -e "$policy" ]; then
      trap 'rm -f "$policy"' EXIT
      printf '#!/bin/sh\\nexit 101\\n' >"$policy"
      chmod 755 "$policy"
    fi
    apt-get -q update
    apt-get -q install --yes --no-install-recommends -o DPkg::Lock::Timeout=300 redis-server`;
  const { output } = run('env', ['DEBIAN_FRONTEND=noninteractive', 'sh', '-c', script]);
  return hasRedis() ? undefined : `redis-server could not be installed: ${output.trim().split('\n').at(-1)}`;
};

const hasRedis = (): boolean => run('redis-server', ['--version']).ok;

/** The version of a package that a peer uses. */
export const versionOf = (name: string): string => {
  const file = path.join(folder, 'node_modules', name, 'package.json');
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
};

const run = (command: string, args: readonly string[]): { ok: boolean; output: string } => {
  const { status, stdout, stderr, error } = spawnSync(command, args, { cwd: folder, encoding: 'utf8' });
  return { ok: status === 0, output: [stdout, stderr, error?.message].filter(Boolean).join('') };
};
