import { stripVTControlCharacters } from 'node:util';
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
  // Piped, the last column is as wide as it comes: measuring takes 10 us a letter, and some texts have 64,000.
  const isOpen = !io.out.isTTY && columns.at(-1)?.align !== 'right';
  const fitted = widths(io, isOpen ? columns.slice(0, -1) : columns, cells);
  const lines = cells.map((row) =>
    columns
      .map(({ align }, index) => laidOut(row[index] ?? '', fitted[index], align))
      .join(' '.repeat(gap))
      .trimEnd(),
  );
  return hasHead ? [paint(io, 'dim', lines[0]!), ...lines.slice(1)] : lines;
};

/** How wide each column is; where a terminal has too little room, the widest that shrinks gives way first. */
const widths = (
  { out }: Io,
  columns: readonly Column[],
  cells: readonly (readonly string[])[],
): readonly number[] => {
  const screen = out.isTTY ? (out.columns ?? 80) : Infinity;
  const fitted = columns.map(({ shrinks }, index) => {
    // Of what has to give way anyway, no more is measured than fills the screen.
    const most = shrinks ? screen : Infinity;
    return cells.reduce((widest, row) => Math.max(widest, textWidth(row[index] ?? '', most)), 0);
  });
  const room = screen - gap * (columns.length - 1);
  for (let excess = sum(fitted) - room; excess > 0; excess -= 1) {
    const widest = widestOf(columns, fitted);
    if (widest === undefined) break;
    fitted[widest]! -= 1;
  }
  return fitted;
};

/** In so many columns of the terminal; what is wider ends in … and loses its colour. */
const laidOut = (text: string, width: number | undefined, align: Column['align']): string => {
  if (width === undefined) return text;
  const shown = textWidth(text, width) > width ? `${beginning(text, width - 1)}…` : text;
  const space = ' '.repeat(width - textWidth(shown));
  return align === 'right' ? `${space}${shown}` : `${shown}${space}`;
};

/** As many whole letters as fit. */
const beginning = (text: string, width: number): string => {
  let shown = '';
  let used = 0;
  for (const { segment } of letters.segment(stripVTControlCharacters(text))) {
    used += letterWidth(segment);
    if (used > width) break;
    shown += segment;
  }
  return shown;
};

const widestOf = (columns: readonly Column[], fitted: readonly number[]): number | undefined => {
  const candidates = [...columns.keys()].filter(
    (index) => columns[index]!.shrinks && fitted[index]! > narrowest,
  );
  return candidates.toSorted((one, two) => fitted[two]! - fitted[one]!)[0];
};

/** How many columns of a terminal a text takes; beyond `most` it is not measured any further. */
const textWidth = (text: string, most = Infinity): number => {
  let width = 0;
  for (const { segment } of letters.segment(stripVTControlCharacters(text))) {
    width += letterWidth(segment);
    if (width > most) break;
  }
  return width;
};

/** Letters of wide scripts and emoji take two. */
const letterWidth = (letter: string): 1 | 2 => (wide.test(letter) ? 2 : 1);

const letters = new Intl.Segmenter();

const wide =
  /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1f300}-\u{1faff}\u{20000}-\u{3fffd}]/u;

const sum = (numbers: readonly number[]): number => numbers.reduce((one, two) => one + two, 0);
