import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { findRabbitmq } from '../../../scripts/find-rabbitmq.mjs';
import { Link } from '../../amqp/link.ts';
import { parseAddress } from '../../amqp/url.ts';
import { quiet } from '../log.ts';
import { freePorts, isOpen } from './ports.ts';
import { guard } from './watchdog.ts';

/** A RabbitMQ of its own: ports, data, cookie and epmd are shared with nobody. Loopback only. */
export interface Broker extends AsyncDisposable {
  readonly url: string;
  /** The same over TLS, by the name localhost; only of a broker that has certificates. */
  readonly tlsUrl: string;
  /** Runs rabbitmqctl and returns its stdout; rejects when it fails. */
  ctl(...args: string[]): Promise<string>;
  /**
   * Returns when the queues declared so far would survive a kill. RabbitMQ 3.10 writes the name of a new
   * quorum queue with a delay of up to 2 s, and one killed before that never has a leader again
   * (rabbitmq-server#10070).
   */
  settle(): Promise<void>;
  /** SIGTERM: returns when the broker has shut down in good order. */
  stop(): Promise<void>;
  /** SIGKILL: returns when the broker is gone. See settle(). */
  kill(): Promise<void>;
  /** Again on the same port with the same data; returns when it accepts AMQP connections. */
  start(): Promise<void>;
  /** Ends the broker for good and removes its data. May be called in any state, and twice. */
  dispose(): Promise<void>;
}

/** Files in PEM. Its clients have to show a certificate that `ca` signed where `asksClients`. */
type BrokerTls = { ca: string; cert: string; key: string; asksClients?: boolean };

type BrokerOptions = {
  port?: number;
  tls?: BrokerTls;
  /** More of RabbitMQ's own variables: `RABBITMQ_FEATURE_FLAGS`. */
  env?: Record<string, string>;
};
type Site = { sbin: string; folder: string; port: number; tlsPort: number; env: Record<string, string> };
type Server = { child: ChildProcess; output: () => string; closed: Promise<unknown> };

const startTimeout = 60_000;
const stopTimeout = 20_000;
const searchPath = `${process.env['PATH']}:/opt/homebrew/bin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin`;
const run = promisify(execFile);

/** Starts a RabbitMQ that ends with this process at the latest. Resolves when it accepts AMQP connections. */
export async function startBroker(options: BrokerOptions = {}): Promise<Broker> {
  const site = await prepare(options);
  Object.assign(site.env, options.env);
  const epmd = await startEpmd(site);
  let server: Server | undefined;

  const end = async (signal: 'SIGTERM' | 'SIGKILL') => {
    if (server) await endServer(server, signal);
    server = undefined;
  };
  const broker: Broker = {
    url: `amqp://guest:guest@127.0.0.1:${site.port}`,
    tlsUrl: `amqps://guest:guest@localhost:${site.tlsPort}`,
    ctl: async (...args) => {
      const { stdout } = await run(path.join(site.sbin, 'rabbitmqctl'), ['--quiet', ...args], {
        env: site.env,
      });
      return stdout;
    },
    settle: async () => {
      await broker.ctl('eval', '[ok = dets:sync(Table) || Table <- dets:all()].');
    },
    stop: () => end('SIGTERM'),
    kill: () => end('SIGKILL'),
    start: async () => {
      server ??= startServer(site);
      await ready(server, site.port, broker.url);
    },
    dispose: async () => {
      await end('SIGKILL');
      epmd.kill('SIGKILL');
      await rm(site.folder, { recursive: true, force: true, maxRetries: 5 });
    },
    [Symbol.asyncDispose]: () => broker.dispose(),
  };
  try {
    await broker.start();
  } catch (error) {
    await broker.dispose();
    throw error;
  }
  return broker;
}

async function prepare({ port: fixedPort, tls }: BrokerOptions): Promise<Site> {
  const sbin = findRabbitmq();
  if (!sbin) throw new Error('rabbitmq-server is not installed: run "node scripts/setup.mjs --broker"');
  const folder = await mkdtemp(path.join(tmpdir(), 'holdfast-broker-'));
  const [distPort = 0, epmdPort = 0, freePort = 0, tlsPort = 0] = await freePorts(4);
  const port = fixedPort ?? freePort;
  for (const name of ['home', 'data', 'log', 'schema']) await mkdir(path.join(folder, name));
  const cookie = path.join(folder, 'home', '.erlang.cookie');
  await writeFile(cookie, randomBytes(16).toString('hex'));
  await chmod(cookie, 0o400);
  await writeFile(path.join(folder, 'plugins'), '[].');
  await writeFile(path.join(folder, 'advanced.config'), '[].');
  await writeFile(path.join(folder, 'rabbitmq-env.conf'), '');
  const settings = ['loopback_users = none', ...(tls ? tlsSettings(tls, tlsPort) : [])];
  await writeFile(path.join(folder, 'rabbitmq.conf'), `${settings.join('\n')}\n`);
  return { sbin, folder, port, tlsPort, env: environment(folder, { port, distPort, epmdPort }) };
}

const tlsSettings = ({ ca, cert, key, asksClients = false }: BrokerTls, port: number): string[] => [
  `listeners.ssl.default = 127.0.0.1:${port}`,
  `ssl_options.cacertfile = ${ca}`,
  `ssl_options.certfile = ${cert}`,
  `ssl_options.keyfile = ${key}`,
  `ssl_options.verify = ${asksClients ? 'verify_peer' : 'verify_none'}`,
  `ssl_options.fail_if_no_peer_cert = ${asksClients}`,
];

function environment(
  folder: string,
  ports: { port: number; distPort: number; epmdPort: number },
): Record<string, string> {
  const loopback = '-kernel inet_dist_use_interface {127,0,0,1}';
  return {
    PATH: searchPath,
    LANG: 'C.UTF-8',
    HOME: path.join(folder, 'home'),
    ERL_EPMD_PORT: `${ports.epmdPort}`,
    ERL_EPMD_ADDRESS: '127.0.0.1',
    // Else Erlang puts a daemon in the place of our epmd, which nobody would end.
    ERL_AFLAGS: '-start_epmd false',
    RABBITMQ_NODENAME: 'holdfast@localhost',
    RABBITMQ_NODE_IP_ADDRESS: '127.0.0.1',
    RABBITMQ_NODE_PORT: `${ports.port}`,
    RABBITMQ_DIST_PORT: `${ports.distPort}`,
    RABBITMQ_MNESIA_BASE: path.join(folder, 'data'),
    RABBITMQ_LOG_BASE: path.join(folder, 'log'),
    RABBITMQ_SCHEMA_DIR: path.join(folder, 'schema'),
    RABBITMQ_GENERATED_CONFIG_DIR: path.join(folder, 'schema'),
    RABBITMQ_PID_FILE: path.join(folder, 'pid'),
    RABBITMQ_ENABLED_PLUGINS_FILE: path.join(folder, 'plugins'),
    RABBITMQ_CONF_ENV_FILE: path.join(folder, 'rabbitmq-env.conf'),
    RABBITMQ_CONFIG_FILE: path.join(folder, 'rabbitmq.conf'),
    RABBITMQ_ADVANCED_CONFIG_FILE: path.join(folder, 'advanced.config'),
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: `${loopback} +sbwt none +sbwtdcpu none +sbwtdio none`,
    RABBITMQ_CTL_ERL_ARGS: loopback,
  };
}

/** In the foreground, so that it is ours to kill: the one that RabbitMQ starts would be a daemon. */
async function startEpmd({ env, folder }: Site): Promise<ChildProcess> {
  const port = Number(env['ERL_EPMD_PORT']);
  const epmd = spawn('epmd', ['-port', `${port}`, '-address', '127.0.0.1'], {
    env,
    stdio: 'ignore',
    detached: true,
  });
  await once(epmd, 'spawn');
  const dismiss = guard([epmd.pid!], folder);
  epmd.once('exit', dismiss);
  while (!(await isOpen(port))) {
    if (epmd.exitCode !== null) throw new Error(`epmd ended with code ${epmd.exitCode}`);
    await delay(10);
  }
  return epmd;
}

function startServer({ sbin, env, folder }: Site): Server {
  const child = spawn(path.join(sbin, 'rabbitmq-server'), [], {
    env,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const dismiss = guard([-child.pid!], folder);
  let output = '';
  const collect = (chunk: Buffer) => {
    output = (output + chunk.toString()).slice(-4000);
  };
  child.stdout?.on('data', collect);
  child.stderr?.on('data', collect);
  // Not 'exit', which tells of the start script only: the pipes close when its last descendant is gone.
  const closed = once(child, 'close').then(dismiss);
  return { child, output: () => output, closed };
}

async function endServer({ child, closed }: Server, signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
  const pid = child.pid!;
  if (signal === 'SIGTERM') {
    child.kill('SIGTERM');
    await Promise.race([closed, delay(stopTimeout, undefined, { ref: false })]);
  }
  killGroup(pid);
  await closed;
}

function killGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // It has ended by itself.
  }
}

/** The listener opens last, after users, virtual hosts and queues are there. */
async function ready(server: Server, port: number, url: string): Promise<void> {
  const deadline = Date.now() + startTimeout;
  while (!((await isOpen(port)) && (await acceptsAmqp(url)))) {
    if (server.child.exitCode !== null || server.child.signalCode !== null) {
      throw new Error(`RabbitMQ ended while it started:\n${server.output()}`);
    }
    if (Date.now() > deadline) throw new Error(`RabbitMQ did not start in time:\n${server.output()}`);
    await delay(50);
  }
}

async function acceptsAmqp(url: string): Promise<boolean> {
  const link = new Link({
    address: parseAddress(url),
    name: 'holdfast broker check',
    log: quiet,
    setup: async () => true,
  });
  try {
    return await link.ready(5000);
  } catch {
    return false;
  } finally {
    await link.close();
  }
}
