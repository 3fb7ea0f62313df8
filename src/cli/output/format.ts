import { InvalidArgumentError, Option } from 'commander';
import { print } from '../io.ts';
import type { Io } from '../io.ts';
import { safe } from './safe.ts';

/** `-o`; the first format is the default. */
export const outputOption = (formats: readonly string[]): Option =>
  new Option('-o, --output <format>', 'how to print it').choices(formats).default(formats[0]);

export const limitOption = (limit: number, what: string): Option =>
  new Option('--limit <n>', what).argParser(parseCount).default(limit);

const parseCount = (text: string): number => {
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('It must be a whole number above 0.');
};

export const printJson = (io: Io, value: unknown): void =>
  print(io, harmless(JSON.stringify(value, null, 2)));

export const printJsonLine = (io: Io, value: unknown): void => print(io, harmless(JSON.stringify(value)));

/**
 * JSON escapes C0 itself, but neither C1 nor the marks that turn the direction of text; `safe` writes all of
 * these as JSON does. To a program it is the same text, and on a terminal it stays harmless.
 */
export const harmless = (json: string): string => json.split('\n').map(safe).join('\n');

/** As data an id is printed as it is; where a person looks, it must not move the cursor. */
export const printId = (io: Io, id: string): void => print(io, io.out.isTTY ? safe(id) : id);
