import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { Readable } from 'node:stream';
import { messageOf } from '../engine/errors.ts';
import { QueueError, maxBodyBytes } from '../queue/queue.ts';
import type { Target } from './commands/submit.ts';
import { CliError, exitCodes, usage } from './exit.ts';
import { print, say } from './io.ts';
import type { Io } from './io.ts';
import { linesOf } from './lines.ts';
import { progressBar } from './output/progress.ts';
import { safe } from './output/safe.ts';
import { accept, checkWish } from './submission.ts';
import type { Checked, Wish } from './submission.ts';
import { waitUntilFinal } from './wait.ts';
import type { WaitOptions } from './wait.ts';

/** Longer than any input that is allowed, escapes included. */
const longestRow = 2 * maxBodyBytes;

/** How many publishes may await their confirm at once. */
const window = 256;

type Source = { readonly file: string; readonly machine: string };

/** Rows as they were given, and a digest of all of them, from which rows without a key get theirs. */
type Rows = { readonly digest: string; readonly total: number; lines(): AsyncIterable<string> };

type Tally = { accepted: number; known: number; refused: number; conflicts: number };

/**
 * Submits a JSON object a line. A row without a key gets one from the whole file and its line, so that the
 * same file submitted again adds nothing. Refused rows are named one by one; the others go on.
 * @throws QueueError when the queue goes away: what was accepted is accepted, and running it again is safe.
 */
export const submitRows = async (
  target: Target,
  source: Source,
  wait: WaitOptions | undefined,
  io: Io,
): Promise<number> => {
  const rows = await read(source.file, io);
  const tally: Tally = { accepted: 0, known: 0, refused: 0, conflicts: 0 };
  const awaited: Checked[] = []; // empty where nobody waits: a file may be larger than the memory
  const onAccepted = (wish: Checked) => void (wait && awaited.push(wish));
  const bar = progressBar(io, 'submitted');
  await eachRow(rows, async (text, line) => {
    await submitRow(target, wishOf(text, line, rows.digest, source.machine), line, { tally, onAccepted }, io);
    bar.update(line, rows.total);
  }).finally(() => bar.end());
  say(io, summary(tally));
  const waited = wait ? await waitForAll(awaited, wait, io) : exitCodes.done;
  if (tally.refused > 0) return exitCodes.usage;
  return tally.conflicts > 0 ? exitCodes.conflict : waited;
};

const submitRow = async (
  { registry, queue, archive }: Target,
  wish: Wish | CliError,
  line: number,
  { tally, onAccepted }: { tally: Tally; onAccepted: (wish: Checked) => void },
  io: Io,
): Promise<void> => {
  try {
    if (wish instanceof CliError) throw wish;
    const checked = checkWish(registry, wish);
    const how = await accept(queue, archive, checked);
    tally.accepted += 1;
    onAccepted(checked);
    if (how === 'known') tally.known += 1;
    print(io, safe(checked.id));
  } catch (error) {
    if (!(error instanceof CliError)) throw stopped(error, line, tally.accepted);
    if (error.exitCode === exitCodes.conflict) tally.conflicts += 1;
    else tally.refused += 1;
    say(io, `line ${line}: ${safe(error.message)}`);
  }
};

const wishOf = (text: string, line: number, digest: string, machine: string): Wish | CliError => {
  if (text.length > longestRow) return usage(`the row is longer than ${longestRow} characters`);
  let row: unknown;
  try {
    row = JSON.parse(text);
  } catch {
    return usage('it is not JSON');
  }
  if (typeof row !== 'object' || row === null || Array.isArray(row)) return usage('it is not a JSON object');
  const { key = `${digest}-${line}`, ...input } = row as { key?: unknown };
  return typeof key === 'string' ? { machine, input, key } : usage('key: is not a text');
};

/** Runs up to `window` at once; stops at the first that throws, after those under way have ended. */
const eachRow = async (
  rows: Rows,
  submitOne: (text: string, line: number) => Promise<void>,
): Promise<void> => {
  const underWay = new Set<Promise<void>>();
  let failed: { error: unknown } | undefined;
  let line = 0;
  for await (const text of rows.lines()) {
    line += 1;
    if (text.trim() === '') continue;
    if (failed) break;
    const one = submitOne(text, line)
      .catch((error: unknown) => void (failed ??= { error }))
      .finally(() => underWay.delete(one));
    underWay.add(one);
    if (underWay.size >= window) await Promise.race(underWay);
  }
  await Promise.all(underWay);
  if (failed) throw failed.error;
};

/** A file is read twice, so that it need not fit into memory; stdin has to. */
const read = async (file: string, io: Io): Promise<Rows> => {
  if (file !== '-') return digested(() => createReadStream(file), file);
  const chunks = await Array.fromAsync(io.in as AsyncIterable<Buffer>, (chunk) => Buffer.from(chunk));
  return digested(() => Readable.from(chunks), 'stdin');
};

const digested = async (open: () => Readable, name: string): Promise<Rows> => {
  const hash = createHash('sha256');
  let total = 0;
  let last = newline;
  try {
    for await (const chunk of open() as AsyncIterable<Buffer>) {
      hash.update(chunk);
      for (const byte of chunk) if (byte === newline) total += 1;
      last = chunk.at(-1) ?? last;
    }
    if (last !== newline) total += 1;
  } catch (error) {
    throw new CliError(exitCodes.usage, `${name} cannot be read: ${messageOf(error)}`, { cause: error });
  }
  return {
    digest: hash.digest('base64url'),
    total,
    lines: () => linesOf(open(), longestRow),
  };
};

const newline = 10;

const stopped = (error: unknown, line: number, accepted: number): unknown =>
  error instanceof QueueError
    ? new QueueError(
        error.kind,
        `stopped at line ${line}, ${accepted} accepted: ${error.message}. Run it again: nothing is doubled`,
        { cause: error },
      )
    : error;

const waitForAll = async (wishes: Checked[], wait: WaitOptions, io: Io): Promise<number> => {
  const bar = progressBar(io, 'final');
  let final = 0;
  let failed = 0;
  await waitUntilFinal(wishes, wait, ({ status }) => {
    final += 1;
    if (status !== 'done') failed += 1;
    bar.update(final, wishes.length);
  }).finally(() => bar.end());
  say(
    io,
    `${final - failed} done${failed > 0 ? `, ${failed} not: see "holdfast list --status failed"` : ''}`,
  );
  return failed > 0 ? exitCodes.failed : exitCodes.done;
};

const summary = ({ accepted, known, refused, conflicts }: Tally): string =>
  [
    `${accepted} accepted${known > 0 ? ` (${known} are runs already)` : ''}`,
    ...(refused > 0 ? [`${refused} refused`] : []),
    ...(conflicts > 0 ? [`${conflicts} in conflict`] : []),
  ].join(', ');
