import type { Readable } from 'node:stream';

/**
 * The lines of a stream. They end with a line feed and nothing else: U+2028, which readline divides at as well, is
 * legal inside JSON. Of a line longer than `longest` no more than one character above it is kept, so that no input
 * fills the memory; whoever asks sees by its length that it is too long.
 */
export async function* linesOf(input: Readable, longest: number): AsyncGenerator<string> {
  const utf8 = new TextDecoder();
  const kept = (line: string) => line.slice(0, longest + 1);
  let rest = '';
  for await (const chunk of input as AsyncIterable<Buffer | string>) {
    const bytes = typeof chunk === 'string' ? Buffer.from(chunk) : chunk;
    const lines = (rest + utf8.decode(bytes, { stream: true })).split('\n');
    rest = kept(lines.pop()!);
    yield* lines.map(kept);
  }
  rest += utf8.decode(); // a character that the end cuts off is no JSON
  if (rest !== '') yield kept(rest);
}
