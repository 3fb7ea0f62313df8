import { commandLines, standardInput } from './command-line.ts';
import { logLines, tables, urls } from './errors.ts';
import { messages, properties } from './intake.ts';
import { terminal } from './terminal.ts';
import type { Target } from './target.ts';

/** Their shares make one. */
export const targets: readonly Target[] = [
  messages,
  properties,
  urls,
  terminal,
  commandLines,
  logLines,
  tables,
  standardInput,
];
