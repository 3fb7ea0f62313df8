import { expect, test } from 'vitest';
import { fakeIo } from '../../test/harness/cli-fixture.ts';
import { spawnNode } from '../../test/harness/cli.ts';
import { openLog } from './log.ts';

const words = 'refused\u001b[2J\r\n\u202e\u{e0041}gone';

test('what a broker says stays a text on a terminal, and one line', async () => {
  const { io, err } = fakeIo({ tty: true });
  (await openLog({ logLevel: 'info' }, io)).warn({ error: words, [words]: 1 }, words);
  expect(err().split('\n')[0]).toContain('refused\\u001b[2J\\r\\n\\u202e\\udb40\\udc41gone');
  expect(err().replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Cf}]/u);
});

test('to a program it is the same text', async () => {
  const { io, err } = fakeIo();
  (await openLog({ logLevel: 'info' }, io)).warn({ error: words }, words);
  expect(JSON.parse(err())).toMatchObject({ error: words, msg: words });
  expect(err().replace(/\n$/, '')).not.toMatch(/[\p{Cc}\p{Cf}]/u);
});

test('a line that was logged is there, even if the process is killed at once', async () => {
  const log = new URL('log.ts', import.meta.url).href;
  const program = `
    const { openLog } = await import(${JSON.stringify(log)});
    const log = await openLog({ logLevel: 'info' }, { err: process.stderr });
    for (let line = 1; line <= 20; line++) log.info({ line }, 'said');
    process.kill(process.pid, 'SIGKILL');`;
  const child = spawnNode(['--input-type=module', '--eval', program]);
  expect(await child.exited).toMatchObject({ signal: 'SIGKILL' });
  expect(child.stderr.match(/said/g)).toHaveLength(20);
});
