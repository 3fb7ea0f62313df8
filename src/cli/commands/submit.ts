import { defineCommand } from '../command.ts';
import { isEmbedded, openArchive, openCatalogue, openQueue, openStore } from '../compose.ts';
import { formatDuration, parseDuration } from '../duration.ts';
import { exitCodes, usage } from '../exit.ts';
import { print, say } from '../io.ts';
import type { Io } from '../io.ts';
import { quiet } from '../log.ts';
import { safe } from '../output/safe.ts';
import { queueSettings } from '../settings.ts';
import type { Settings } from '../settings.ts';
import { submitRows } from '../submit-rows.ts';
import { accept, checkWish } from '../submission.ts';
import type { Checked, Wish } from '../submission.ts';
import { waitUntilFinal } from '../wait.ts';
import type { Registry } from '../../machines/registry.ts';
import type { Queue } from '../../queue/queue.ts';
import type { Archive } from '../../store/store.ts';

type Options = {
  notes?: string;
  key?: string;
  file?: string;
  machine: string;
  input?: string;
  wait?: boolean;
  timeout: string;
};

/** Where submissions go. */
export type Target = {
  readonly registry: Registry;
  readonly queue: Queue;
  readonly archive: Archive | undefined;
};

export const submit = defineCommand<Options>({
  name: 'submit',
  summary: 'Submit a todo, or many. What is accepted is safe; its id is printed.',
  args: [['[title]', 'the title of the todo']],
  settings: [...queueSettings, 'machines'],
  options: (command) =>
    command
      .option('--notes <text>', 'notes of the todo')
      .option('--key <key>', 'the idempotency key: the same key and the same todo are the same run')
      .option(
        '--file <file>',
        'many: a JSON object a line, {"title": …, "notes": …, "key": …}; "-" reads stdin',
      )
      .option('--machine <machine>', 'a machine of your own, with --input or --file', 'create-todo')
      .option('--input <json>', 'the input of a machine of your own')
      .option('--wait', 'wait until it is done')
      .option('--timeout <duration>', 'how long --wait waits', '30s'),
  examples: [
    'submit "Buy milk"',
    'submit "Buy milk" --key order-4711 --wait',
    'submit --file todos.ndjson',
    'submit --machine greet --machines ./greet.ts --input \'{"name":"Ada"}\'',
  ],
  async run({ io, settings }, options, [title]) {
    const timeout = parseDuration(options.timeout);
    if (timeout === undefined) throw usage('--timeout is not a duration; write 250ms, 30s, 5m, 2h or 1d');
    const registry = await openCatalogue(settings);
    const wait = options.wait ? { store: settings.store, timeout, io } : undefined;
    if (options.file !== undefined) {
      if (title !== undefined || options.key !== undefined || options.input !== undefined) {
        throw usage('--file brings titles and keys of its own: leave the title, --key and --input out');
      }
      return withTarget(settings, registry, (target) =>
        submitRows(target, { file: options.file!, machine: options.machine }, wait, io),
      );
    }
    const wish = checkWish(registry, wishOf(options, title as string | undefined));
    await withTarget(settings, registry, (target) => acceptOne(target, wish, io));
    return wait && waitForOne(wish, wait, io);
  },
});

const wishOf = ({ machine, input, notes, key }: Options, title: string | undefined): Wish => {
  if (input === undefined) {
    if (title === undefined)
      throw usage('what is to be submitted? Give a title, --file or --input; see "holdfast submit --help"');
    return { machine, input: { title, ...(notes !== undefined && { notes }) }, key };
  }
  if (title !== undefined || notes !== undefined)
    throw usage('--input is the whole input: leave the title and --notes out');
  try {
    return { machine, input: JSON.parse(input) as unknown, key };
  } catch {
    throw usage('--input is not JSON');
  }
};

/** Opens the queue, and the store for what it can tell at once. */
const withTarget = async <T>(
  settings: Settings,
  registry: Registry,
  use: (target: Target) => Promise<T>,
): Promise<T> => {
  const open = isEmbedded(settings) ? openStore(settings) : undefined;
  const known = open ? { db: open.db, archive: open.store } : openArchive(settings);
  const { queue, close } = openQueue(settings, quiet, open?.db);
  try {
    return await use({ registry, queue, archive: known?.archive });
  } finally {
    await close();
    known?.db.close();
  }
};

const acceptOne = async ({ queue, archive }: Target, wish: Checked, io: Io): Promise<void> => {
  const how = await accept(queue, archive, wish);
  print(io, safe(wish.id));
  say(io, how === 'known' ? 'submitted before: it is the same run' : `accepted by ${queue.name}`);
};

const waitForOne = async (
  wish: Checked,
  wait: { store: string; timeout: number; io: Io },
  io: Io,
): Promise<number> => {
  let code: number = exitCodes.done;
  await waitUntilFinal([wish], wait, ({ status, state, reason, createdAt, updatedAt }) => {
    say(
      io,
      `${safe(state)} after ${formatDuration(updatedAt - createdAt)}${reason === null ? '' : `: ${safe(reason)}`}`,
    );
    if (status !== 'done') code = exitCodes.failed;
  });
  return code;
};
