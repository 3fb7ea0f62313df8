import { isUtf8 } from 'node:buffer';
import type { DeadLetter } from '../../queue/queue.ts';
import { print } from '../io.ts';
import type { Io } from '../io.ts';
import { printFields } from './fields.ts';
import { safe } from './safe.ts';
import { paint } from './style.ts';
import { age, shownTime } from './time.ts';

/** How much of a body is shown: of text in characters, of anything else in bytes. */
const textExcerpt = 8_000;
const hexExcerpt = 512;
const bytesALine = 16;

/** A dead letter as a person reads it. Nothing in its body can reach the terminal as more than text. */
export const printDeadLetter = (
  io: Io,
  { id, at, error, message: { id: messageId, machine, body } }: DeadLetter,
  now: number,
): void => {
  printFields(io, [
    ['id', safe(id)],
    ['when', `${shownTime(io, at)} (${age(at, now)} ago)`],
    ['error', paint(io, 'red', safe(error))],
    ['machine', safe(machine ?? 'none')],
    ['message id', safe(messageId ?? 'none')],
    ['body', `${body.length} bytes of ${isUtf8(body) ? 'text' : 'something else than UTF-8 text'}`],
  ]);
  print(io, '');
  const { lines, left } = isUtf8(body) ? textLines(body.toString('utf8')) : hexLines(body);
  for (const line of lines) print(io, `  ${line}`);
  if (left > 0) print(io, paint(io, 'dim', `  … and ${left} more; -o json has all of it`));
};

type Excerpt = { readonly lines: readonly string[]; readonly left: number };

/** Line breaks stay: a text may well have lines. */
const textLines = (text: string): Excerpt => ({
  lines: text.slice(0, textExcerpt).split(/\r?\n/).map(safe),
  left: Math.max(0, text.length - textExcerpt),
});

/** As `xxd` shows it: offset, bytes, and what of them is ASCII. */
const hexLines = (body: Buffer): Excerpt => {
  const shown = body.subarray(0, hexExcerpt);
  const starts = Array.from(
    { length: Math.ceil(shown.length / bytesALine) },
    (_, index) => index * bytesALine,
  );
  return {
    lines: starts.map((start) => hexLine(shown.subarray(start, start + bytesALine), start)),
    left: body.length - shown.length,
  };
};

const hexLine = (bytes: Buffer, start: number): string => {
  const hex = bytes
    .toString('hex')
    .replaceAll(/(..)/g, '$1 ')
    .padEnd(bytesALine * 3);
  return `${start.toString(16).padStart(4, '0')}  ${hex} ${bytes.toString('latin1').replaceAll(/[^ -~]/g, '.')}`;
};
