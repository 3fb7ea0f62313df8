import type { Run } from '../engine/run.ts';
import type { Archive } from '../store/store.ts';
import { CliError, exitCodes, usage } from './exit.ts';
import type { Io } from './io.ts';
import { linesOf } from './lines.ts';
import { safe } from './output/safe.ts';

/** How many candidates an ambiguous prefix shows. */
const shownCandidates = 10;

/** The run with this id, or the only one whose id begins so. @throws CliError notFound, with the candidates where there are several */
export const findRun = async (archive: Pick<Archive, 'get' | 'find'>, prefix: string): Promise<Run> => {
  const ids = prefix === '' ? [] : await archive.find(prefix, shownCandidates + 1);
  const run = await archive.get(pick('run', prefix, ids));
  if (!run) throw unknown('run', prefix);
  return run;
};

/** The one id that is `prefix`, else the only one that begins with it. @throws CliError notFound */
export const pick = (what: string, prefix: string, ids: readonly string[]): string => {
  if (prefix === '') throw usage(`the id of the ${what} is empty`);
  if (ids.includes(prefix)) return prefix;
  const [only, ...others] = [...new Set(ids.filter((id) => id.startsWith(prefix)))];
  if (only === undefined) throw unknown(what, prefix);
  if (others.length > 0) throw ambiguous(what, prefix, [only, ...others]);
  return only;
};

/** The ids of a command line. `-` stands for those on stdin, one a line. None comes twice. */
export const readIds = async (args: readonly string[], io: Pick<Io, 'in'>): Promise<string[]> => {
  const ids = new Set<string>();
  for (const arg of args) for (const id of arg === '-' ? await readLines(io) : [arg]) ids.add(id);
  return [...ids];
};

/** Longer than any id; what has one is not a list of ids. */
const longestId = 1_000;

const readLines = async ({ in: input }: Pick<Io, 'in'>): Promise<string[]> => {
  const ids: string[] = [];
  let number = 0;
  for await (const line of linesOf(input, longestId)) {
    number += 1;
    if (line.length > longestId) throw usage(`line ${number} of stdin is longer than any id`);
    const id = line.replace(/\r$/, '');
    if (id !== '') ids.push(id);
  }
  return ids;
};

const unknown = (what: string, prefix: string): CliError =>
  new CliError(exitCodes.notFound, `no ${what} has the id ${safe(prefix)}, nor one that begins so`);

const ambiguous = (what: string, prefix: string, ids: readonly string[]): CliError => {
  const more = ids.length > shownCandidates ? ['…'] : [];
  const lines = [...ids.slice(0, shownCandidates).map(safe), ...more].map((id) => `  ${id}`);
  return new CliError(
    exitCodes.notFound,
    [`several ${what}s have an id that begins with ${safe(prefix)}:`, ...lines].join('\n'),
  );
};
