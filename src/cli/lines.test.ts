import { Readable } from 'node:stream';
import { expect, test } from 'vitest';
import { linesOf } from './lines.ts';

const lines = (longest: number, ...chunks: (string | Buffer)[]) =>
  Array.fromAsync(linesOf(Readable.from(chunks), longest));

test('lines end with a line feed and nothing else, wherever the stream is cut', async () => {
  const text = Buffer.from('ein\u2028s\nzwei ü\n\ndrei');
  const bytes = Array.from(text, (byte) => Buffer.of(byte));
  for (const chunks of [[text], bytes]) {
    expect(await lines(100, ...chunks)).toEqual(['ein\u2028s', 'zwei ü', '', 'drei']);
  }
});

test('of a line that is too long so much is kept as shows it, however much comes', async () => {
  const chunk = Buffer.alloc(64 * 1024, 'x');
  expect(await lines(3, ...Array.from({ length: 2_000 }, () => chunk), '\nnext\nend')).toEqual([
    'xxxx',
    'next',
    'end',
  ]);
});
