#!/usr/bin/env node
// Plain JavaScript that any Node can read, so that an old one gets a sentence and not a crash
// (better-sqlite3 13 segfaults on Node 20).
import module from 'module';
import { spawn } from 'child_process';
import { existsSync } from 'fs';
import { fileURLToPath } from 'url';

/** A clone brings its own Node along, as a dev dependency. */
const ownNode = fileURLToPath(new URL('../node_modules/node/bin/node', import.meta.url));
const [major, minor] = process.versions.node.split('.').map(Number);

const isTooOld = major < 24 || (major === 24 && minor < 16);

if (isTooOld && process.execPath !== ownNode && existsSync(ownNode)) {
  runOn(ownNode);
} else if (isTooOld) {
  fail(
    'needs Node 24.16 or newer, this is ' +
      process.versions.node +
      ': install Node 24, or run "npx node@24 ' +
      process.argv[1] +
      ' …"',
  );
} else {
  start();
}

function start() {
  const source = new URL('../src/cli/main.ts', import.meta.url);
  const isClone = existsSync(source);
  if (isClone && !existsSync(new URL('../node_modules', import.meta.url))) {
    fail(
      'the packages of this clone are not installed: run "npm start" or "npm ci" in ' +
        fileURLToPath(new URL('..', import.meta.url)),
    );
    return;
  }
  // Halves the start. A folder of our own, because code in a shared temporary folder could be anyone's.
  module.enableCompileCache(fileURLToPath(new URL('../node_modules/.cache/holdfast', import.meta.url)));
  void run(isClone ? source.href : '../dist/cli/main.js');
}

async function run(main) {
  const cli = await import(main);
  const code = await cli.main(process.argv);
  // Nothing is left to do, and a socket to a silent broker would keep the process for seconds.
  process.stdout.write('', () => process.exit(code));
}

function runOn(node) {
  const child = spawn(node, process.argv.slice(1), { stdio: 'inherit' });
  process.on('SIGTERM', () => child.kill('SIGTERM'));
  // Ctrl-C reaches the child by itself, and a second SIGINT would end it at once.
  process.on('SIGINT', () => process.stdin.isTTY || child.kill('SIGINT'));
  child.on('exit', (code) => process.exit(code === null ? 1 : code));
}

function fail(message) {
  process.stderr.write('holdfast: ' + message + '\n');
  process.exitCode = 1;
}
