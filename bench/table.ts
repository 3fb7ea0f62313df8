import type { Spread } from './stats.ts';

/** Rows under their headings: the first column is text, the others are figures. */
export const columns = (head: readonly string[], rows: readonly (readonly string[])[]): string[] => {
  const widths = head.map((_, column) => Math.max(...[head, ...rows].map((row) => row[column]!.length)));
  const line = (row: readonly string[]) =>
    row
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[0]!) : cell.padStart(widths[column]!)))
      .join('  ');
  return [line(head), widths.map((width) => '-'.repeat(width)).join('  '), ...rows.map(line)];
};

export const whole = (value: number): string => Math.round(value).toLocaleString('en');

export const decimals =
  (digits: number) =>
  (value: number): string =>
    value.toFixed(digits);

/** `0.41 (0.38–0.44)`: median, min and max. */
export const range = ({ median, min, max }: Spread, format: (value: number) => string): string =>
  `${format(median)} (${format(min)}–${format(max)})`;
