import { print } from '../io.ts';
import type { Io } from '../io.ts';
import { paint } from './style.ts';

export type Field = readonly [name: string, text: string];

/** A name and its value a line; the values went through `safe`. */
export const printFields = (io: Io, fields: readonly Field[]): void => {
  const width = Math.max(...fields.map(([name]) => name.length));
  for (const [name, text] of fields) print(io, `${paint(io, 'dim', name.padEnd(width))}  ${text}`);
};
