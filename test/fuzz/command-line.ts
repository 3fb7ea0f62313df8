import fc from 'fast-check';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { main } from '../../src/cli/main.ts';
import { fakeIo } from '../harness/cli-fixture.ts';
import { halfUrlWithSecret, hostileJson, hostileJsonText, hostileText, urlWithSecret } from './hostile.ts';
import { expectForeseen, expectHarmless, expectNoSecret } from './oracle.ts';
import { target } from './target.ts';

const commands = [
  ['submit'],
  ['list'],
  ['inspect'],
  ['census'],
  ['retry'],
  ['cancel'],
  ['alerts'],
  ['dead-letters', 'list'],
  ['dead-letters', 'show'],
  ['dead-letters', 'requeue'],
  ['dead-letters'],
  ['diagram'],
  ['doctor'],
  ['worker'],
  ['worker', '--drain'],
  ['help'],
  [],
];

/** Not `--store` and `--machines` with a path of chance: the one makes files, the other runs them. */
const flags = [
  '--queue',
  '--prefix',
  '--lap',
  '--ca',
  '--cert',
  '--cert-key',
  '--audit-url',
  '--audit-ca',
  '--concurrency',
  '--call-timeout',
  '--retry-for',
  '--log-level',
  '--limit',
  '--state',
  '--status',
  '--machine',
  '--output',
  '-o',
  '--format',
  '--from',
  '--timeout',
  '--input',
  '--file',
  '--notes',
  '--unknown',
];

const environment = [
  'HOLDFAST_QUEUE',
  'HOLDFAST_PREFIX',
  'HOLDFAST_LAP',
  'HOLDFAST_AUDIT_URL',
  'HOLDFAST_CA',
];

const argument = fc
  .oneof(
    { weight: 2, arbitrary: urlWithSecret },
    hostileText,
    fc.constantFrom('-', '', 'embedded', '5m', '1'),
  )
  .map((text) => text.slice(0, 2_000));

/** A broker that may be there is none of ours: it would be waited for. */
const isReachable = (text: string): boolean => /^amqps?:\/\//.test(text) && URL.canParse(text);
const unreachable = argument.filter((text) => !isReachable(text));
const halfUrl = halfUrlWithSecret.filter((text) => !isReachable(text));

const folderOf = () => mkdtempSync(path.join(tmpdir(), 'holdfast-fuzz-'));

/** Whatever stands on a command line and in the environment: no crash, no password, no control character. */
export const commandLines = target('command lines and environments', 0.04, async () => {
  const folder = folderOf();
  const store = path.join(folder, 'holdfast.db');
  return {
    input: fc.record({
      command: fc.constantFrom(...commands),
      args: fc.array(unreachable, { maxLength: 2 }),
      options: fc.array(
        fc.oneof(
          { weight: 3, arbitrary: fc.tuple(fc.constantFrom(...flags), unreachable) },
          { weight: 1, arbitrary: fc.tuple(fc.constantFrom('--queue', '--audit-url'), halfUrl) },
        ),
        { maxLength: 3 },
      ),
      env: fc.array(fc.tuple(fc.constantFrom(...environment), fc.oneof(unreachable, halfUrl)), {
        maxLength: 1,
      }),
      stdin: fc.oneof(hostileText, unreachable),
      tty: fc.boolean(),
    }),
    attempt: async ({ command, args, options, env, stdin, tty }) => {
      const { io, out, err, interrupt } = fakeIo({ tty, input: stdin });
      interrupt(); // a worker that is asked to leave before it begins
      const given = [...command, ...args, ...options.flat()];
      const set = env.filter(([, value]) => !value.includes('\0'));
      for (const [name, value] of set) process.env[name] = value;
      try {
        await main(['node', 'holdfast', '--debug', ...given, '--store', store], io);
      } finally {
        for (const [name] of set) delete process.env[name];
      }
      for (const text of [out(), err()]) expectHarmless(text);
      expectForeseen(err());
      expectNoSecret(err());
    },
    close: () => rmSync(folder, { recursive: true }),
  };
});

const rows = fc
  .array(
    fc.oneof(
      { weight: 3, arbitrary: hostileJsonText },
      {
        weight: 1,
        arbitrary: fc.record({ title: hostileText, key: hostileText }).map((one) => JSON.stringify(one)),
      },
      { weight: 1, arbitrary: hostileJson.map((key) => JSON.stringify({ title: 'x', key })) },
      { weight: 1, arbitrary: fc.constant(`{"title":"${'x'.repeat(140_000)}"}`) },
    ),
    { maxLength: 3 },
  )
  .map((lines) => lines.join('\n'));

/** Whatever stands in the rows of a file, and in the ids of a list. */
export const standardInput = target('rows and ids from standard input', 0.02, async () => {
  const folder = folderOf();
  const store = path.join(folder, 'holdfast.db');
  return {
    input: fc.record({
      command: fc.constantFrom(
        ['submit', '--file', '-'],
        ['submit', '--file', '-', '--machine', 'none'],
        ['cancel', '-'],
        ['retry', '-'],
        ['dead-letters', 'drop', '-'],
      ),
      stdin: rows,
      tty: fc.boolean(),
    }),
    attempt: async ({ command, stdin, tty }) => {
      const { io, out, err } = fakeIo({ tty, input: stdin });
      await main(['node', 'holdfast', '--debug', ...command, '--store', store], io);
      expectHarmless(out());
      expectHarmless(withoutBar(err()));
      expectForeseen(err());
    },
    close: () => rmSync(folder, { recursive: true }),
  };
});

/** The bar is ours: it goes back to the start of its line and clears it. */
const withoutBar = (text: string): string => text.replaceAll('\r\u001b[2K', '');
