import { isUtf8 } from 'node:buffer';
import type { DeadLetter, DeadLetters } from '../../queue/queue.ts';
import { defineCommand, defineGroup } from '../command.ts';
import { withDeadLetters } from '../dead-letters.ts';
import { exitCodes } from '../exit.ts';
import { pick, readIds } from '../find.ts';
import { say } from '../io.ts';
import type { Io } from '../io.ts';
import { printDeadLetter } from '../output/dead-letter.ts';
import { limitOption, outputOption, printId, printJson, printJsonLine } from '../output/format.ts';
import { safe } from '../output/safe.ts';
import { printTable } from '../output/table.ts';
import { age, iso } from '../output/time.ts';
import { queueSettings } from '../settings.ts';

type Parts = { readonly deadLetters: DeadLetters; readonly io: Io; readonly now?: () => number };

/** How many dead letters an id is looked for among. */
const searched = 100_000;

const ids: [string, string] = [
  '<id...>',
  'ids, or beginnings of ids that are unique; "-" reads them from stdin',
];

type ListOptions = { readonly limit: number; readonly output: 'table' | 'json' | 'jsonl' | 'ids' };

const listCommand = defineCommand<ListOptions>({
  name: 'list',
  summary: 'List dead letters, oldest first.',
  settings: queueSettings,
  options: (command) =>
    command
      .addOption(limitOption(50, 'how many at most'))
      .addOption(outputOption(['table', 'json', 'jsonl', 'ids'])),
  examples: ['dead-letters list', 'dead-letters list -o ids --limit 1000 | holdfast dead-letters drop -'],
  run: (context, options) =>
    withDeadLetters(context, 'read', (deadLetters) =>
      listDeadLetters({ deadLetters, io: context.io }, options),
    ),
});

const showCommand = defineCommand<{ output: 'text' | 'json' }, [id: string]>({
  name: 'show',
  summary: 'Show one dead letter: why it is dead, and its body.',
  args: [['<id>', 'an id, or the beginning of one that is unique']],
  settings: queueSettings,
  options: (command) => command.addOption(outputOption(['text', 'json'])),
  examples: ['dead-letters show 0199f0c2', 'dead-letters show 0199f0c2 -o json | jq -r .body | base64 -d'],
  run: (context, { output }, [id]) =>
    withDeadLetters(context, 'read', (deadLetters) =>
      showDeadLetter({ deadLetters, io: context.io }, id, output),
    ),
});

const requeueCommand = defineCommand<object, [ids: string[]]>({
  name: 'requeue',
  summary: 'Submit dead letters again as they were, once the reason is mended.',
  args: [ids],
  settings: queueSettings,
  examples: ['dead-letters requeue 0199f0c2', 'dead-letters list -o ids | holdfast dead-letters requeue -'],
  run: (context, _options, [given]) =>
    withDeadLetters(context, 'write', async (deadLetters) =>
      settleDeadLetters({ deadLetters, io: context.io }, await readIds(given, context.io), 'requeue'),
    ),
});

const dropCommand = defineCommand<object, [ids: string[]]>({
  name: 'drop',
  summary: 'Forget dead letters for ever.',
  args: [ids],
  settings: queueSettings,
  examples: ['dead-letters drop 0199f0c2'],
  run: (context, _options, [given]) =>
    withDeadLetters(context, 'write', async (deadLetters) =>
      settleDeadLetters({ deadLetters, io: context.io }, await readIds(given, context.io), 'drop'),
    ),
});

export const deadLettersCommand = defineGroup({
  name: 'dead-letters',
  summary: 'Look after messages that can never become a run.',
  examples: ['dead-letters list', 'dead-letters show 0199f0c2', 'dead-letters requeue 0199f0c2'],
  members: [listCommand, showCommand, requeueCommand, dropCommand],
});

/** Prints dead letters; where there are more than the limit, stderr says so. */
const listDeadLetters = async (
  { deadLetters, io, now = Date.now }: Parts,
  { limit, output }: ListOptions,
): Promise<void> => {
  const found = await deadLetters.list(limit + 1);
  const letters = found.slice(0, limit);
  if (output === 'json') printJson(io, letters.map(toJson));
  if (output === 'jsonl') for (const letter of letters) printJsonLine(io, toJson(letter));
  if (output === 'ids') for (const { id } of letters) printId(io, id);
  if (output === 'table') printLetters(io, letters, now());
  if (found.length > limit) say(io, `There are more than these ${limit}: raise --limit.`);
};

/** @throws CliError notFound */
const showDeadLetter = async (
  { deadLetters, io, now = Date.now }: Parts,
  id: string,
  output: 'text' | 'json',
): Promise<void> => {
  const letters = await deadLetters.list(searched);
  const wanted = pick(
    'dead letter',
    id,
    letters.map((letter) => letter.id),
  );
  const letter = letters.find((one) => one.id === wanted)!;
  if (output === 'json') printJson(io, toJson(letter));
  else printDeadLetter(io, letter, now());
};

/** Settles all of them, or none where one is unknown. Resolves to the exit code. @throws CliError notFound */
const settleDeadLetters = async (
  { deadLetters, io }: Parts,
  given: readonly string[],
  how: 'requeue' | 'drop',
): Promise<number> => {
  const known = (await deadLetters.list(searched)).map(({ id }) => id);
  const wanted = new Set(given.map((id) => pick('dead letter', id, known)));
  let code: number = exitCodes.done;
  for (const id of wanted) {
    const done = await deadLetters[how](id);
    say(io, `${safe(id)}: ${done ? pastOf[how] : 'someone else has settled it meanwhile'}`);
    if (!done) code = exitCodes.notFound;
  }
  return code;
};

const pastOf = { requeue: 'submitted again', drop: 'dropped' };

/** The body in base64, whatever it is; as text too where it is text. */
const toJson = ({ id, at, error, message }: DeadLetter) => ({
  id,
  at: iso(at),
  error,
  machine: message.machine ?? null,
  messageId: message.id ?? null,
  body: message.body.toString('base64'),
  text: isUtf8(message.body) ? message.body.toString('utf8') : null,
});

const printLetters = (io: Io, letters: readonly DeadLetter[], now: number): void => {
  if (letters.length === 0) return say(io, 'No dead letters.');
  const columns = [
    { head: 'ID' },
    { head: 'AGE', align: 'right' as const },
    { head: 'MACHINE', shrinks: true },
    { head: 'ERROR', shrinks: true },
  ];
  printTable(
    io,
    columns,
    letters.map(({ id, at, error, message }) => [
      safe(id),
      age(at, now),
      safe(message.machine ?? ''),
      safe(error),
    ]),
  );
};
