// Makes a fresh clone ready: packages for every command, with --broker a RabbitMQ for the tests.
// Runs on Node 20 and newer with nothing installed, and is done at once when all is there.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { findRabbitmq } from './find-rabbitmq.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const otherBroker = 'or name a broker of yours in HOLDFAST_TEST_AMQP_URL';

/** Debian starts a daemon when it installs one. This one must not run: the tests start their own. */
const aptScript = `
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  trap 'rm -f "$policy"' EXIT
  trap 'exit 1' INT TERM
  printf '#!/bin/sh\\nexit 101\\n' >"$policy"
  chmod 755 "$policy"
fi
apt-get -q update
apt-get -q install --yes --no-install-recommends -o DPkg::Lock::Timeout=300 "$@" || exit 1
if [ -d /run/systemd/system ]; then
  systemctl disable --now rabbitmq-server
fi
true
`;

/** What tests of faults work with: command -> Debian's package. */
const tools = {
  strace: 'strace',
  cc: 'gcc libc6-dev',
  openssl: 'openssl',
  prlimit: 'util-linux',
  chattr: 'e2fsprogs',
};

if (!packagesAreCurrent()) installPackages();
if (process.argv.includes('--broker')) {
  if (!process.env.HOLDFAST_TEST_AMQP_URL && !findRabbitmq()) installBroker();
  installTools();
}

/** What npm installed is what package-lock.json asks for; a package of another platform may be missing. */
function packagesAreCurrent() {
  try {
    const wanted = readPackages('package-lock.json');
    const installed = readPackages('node_modules/.package-lock.json');
    return (
      Object.keys(installed).every((name) => name in wanted) &&
      Object.entries(wanted).every(([name, entry]) => isInstalled(entry, installed[name]))
    );
  } catch {
    return false;
  }
}

function isInstalled(wanted, installed) {
  if (!installed) return wanted.optional === true;
  if (wanted.version !== installed.version) return false;
  return !wanted.integrity || wanted.integrity === installed.integrity;
}

function readPackages(file) {
  const { packages } = JSON.parse(readFileSync(path.join(root, file), 'utf8'));
  delete packages['']; // The project itself.
  return packages;
}

function installPackages() {
  say('installing packages…');
  const npm = process.env.npm_execpath;
  const args = ['ci', '--no-audit', '--no-fund', '--loglevel=error'];
  // This Node may live in node_modules, which npm ci removes: run npm on the Node that npm runs on.
  const result = npm?.endsWith('npm-cli.js')
    ? run(process.env.npm_node_execpath ?? process.execPath, [npm, ...args])
    : run('npm', args);
  if (!result.ok) fail(result.output, 'npm ci failed: mend what npm says above, then try again');
}

function installBroker() {
  if (isThere('apt-get')) installWithApt();
  else if (isThere('brew')) installWithHomebrew();
  else fail('', `the tests need RabbitMQ: install rabbitmq-server, ${otherBroker}`);
  if (!findRabbitmq()) fail('', `RabbitMQ was installed but not found: put it on PATH, ${otherBroker}`);
}

function installWithApt() {
  const install = 'apt-get install --no-install-recommends rabbitmq-server';
  if (!mayInstall()) fail('', `the tests need RabbitMQ: run "sudo ${install}", ${otherBroker}`);
  say('installing RabbitMQ for the tests…');
  const result = apt(['rabbitmq-server']);
  if (!result.ok) fail(result.output, `RabbitMQ was not installed: run "sudo ${install}", ${otherBroker}`);
}

/** Where they cannot be installed, the tests that need them say so themselves. */
function installTools() {
  if (process.platform !== 'linux' || !isThere('apt-get')) return;
  const missing = Object.keys(tools).filter((tool) => !isThere(tool));
  if (missing.length === 0 || !mayInstall()) return;
  say(`installing ${missing.join(', ')} for the tests…`);
  apt(missing.flatMap((tool) => tools[tool].split(' ')));
}

function isRoot() {
  return process.getuid?.() === 0;
}

function mayInstall() {
  return isRoot() || (isThere('sudo') && run('sudo', ['-n', 'true']).ok);
}

function apt(packages) {
  const shell = ['env', 'DEBIAN_FRONTEND=noninteractive', 'sh', '-c', aptScript, 'apt', ...packages];
  const [command, ...args] = isRoot() ? shell : ['sudo', '-n', ...shell];
  return run(command, args);
}

function installWithHomebrew() {
  say('installing RabbitMQ for the tests…');
  const result = run('brew', ['install', '--quiet', 'rabbitmq']);
  if (!result.ok)
    fail(result.output, `RabbitMQ was not installed: run "brew install rabbitmq", ${otherBroker}`);
}

function isThere(command) {
  return run('sh', ['-c', `command -v ${command}`]).ok;
}

function run(command, args) {
  const options = { cwd: root, encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 };
  const { status, stdout, stderr, error } = spawnSync(command, args, options);
  return { ok: status === 0, output: [stdout, stderr, error?.message].filter(Boolean).join('') };
}

function say(text) {
  process.stderr.write(`setting up: ${text}\n`);
}

function fail(output, advice) {
  if (output) process.stderr.write(`${output.trimEnd()}\n`);
  say(advice);
  process.exit(1);
}
