import { stripVTControlCharacters } from 'node:util';
import Table from 'cli-table3';
import { print } from '../io.ts';
import type { Io } from '../io.ts';
import { paint } from './style.ts';

export type Column = {
  readonly head: string;
  readonly align?: 'left' | 'right';
  /** Where the table is too wide for the terminal, this column gives way. */
  readonly shrinks?: boolean;
};

const gap = 2;
const narrowest = 8;
const noLines = {
  top: '',
  'top-mid': '',
  'top-left': '',
  'top-right': '',
  bottom: '',
  'bottom-mid': '',
  'bottom-left': '',
  'bottom-right': '',
  left: '',
  'left-mid': '',
  mid: '',
  'mid-mid': '',
  right: '',
  'right-mid': '',
  middle: '',
};

/** A table without borders. On a terminal it fits the width, and what does not fit ends in …; piped it is whole. */
export const printTable = (
  io: Io,
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
): void => {
  for (const line of tableLines(io, columns, rows)) print(io, line);
};

/** The head, where there is one, and a line for each row. Cells are single lines and went through `safe`. */
export const tableLines = (
  io: Io,
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
): string[] => {
  const head = columns.map((column) => column.head);
  const hasHead = head.some((text) => text !== '');
  const cells = hasHead ? [head, ...rows] : rows;
  if (cells.length === 0) return [];
  const table = new Table({
    chars: noLines,
    truncate: '…',
    colAligns: columns.map(({ align = 'left' }) => align),
    colWidths: widths(io, columns, cells),
    style: { 'padding-left': 0, 'padding-right': gap, head: [], border: [] },
  });
  for (const row of cells) table.push([...row]);
  const lines = table
    .toString()
    .split('\n')
    .map((line) => line.trimEnd());
  return hasHead ? [paint(io, 'dim', lines[0] ?? ''), ...lines.slice(1)] : lines;
};

/** Only what has to shrink gets a width; the widest gives way first. */
const widths = (
  { out }: Io,
  columns: readonly Column[],
  cells: readonly (readonly string[])[],
): (number | null)[] => {
  if (!out.isTTY) return [];
  const natural = columns.map((_, index) => Math.max(...cells.map((row) => textWidth(row[index] ?? ''))));
  const fitted = [...natural];
  const room = (out.columns ?? 80) - gap * (columns.length - 1);
  for (let excess = sum(fitted) - room; excess > 0; excess -= 1) {
    const widest = widestOf(columns, fitted);
    if (widest === undefined) break;
    fitted[widest]! -= 1;
  }
  return fitted.map((width, index) => (width < natural[index]! ? width + gap : null));
};

const widestOf = (columns: readonly Column[], fitted: readonly number[]): number | undefined => {
  const candidates = [...columns.keys()].filter(
    (index) => columns[index]!.shrinks && fitted[index]! > narrowest,
  );
  return candidates.toSorted((one, two) => fitted[two]! - fitted[one]!)[0];
};

/** How many columns of a terminal a text takes: letters of wide scripts and emoji take two. */
const textWidth = (text: string): number =>
  sum(
    Array.from(letters.segment(stripVTControlCharacters(text)), ({ segment }) =>
      wide.test(segment) ? 2 : 1,
    ),
  );

const letters = new Intl.Segmenter();

const wide =
  /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1f300}-\u{1faff}\u{20000}-\u{3fffd}]/u;

const sum = (numbers: readonly number[]): number => numbers.reduce((one, two) => one + two, 0);
