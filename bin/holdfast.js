#!/usr/bin/env node
// Plain JavaScript that any Node can read, so that an old one gets a sentence and not a crash
// (better-sqlite3 13 segfaults on Node 20).
import module from 'module';
import { existsSync } from 'fs';
import { fileURLToPath } from 'url';

const [major, minor] = process.versions.node.split('.').map(Number);

if (major < 24 || (major === 24 && minor < 16)) {
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

function fail(message) {
  process.stderr.write('holdfast: ' + message + '\n');
  process.exitCode = 1;
}
