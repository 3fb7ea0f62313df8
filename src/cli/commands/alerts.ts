import { alertsInRabbit, alertsInStore } from '../alert-source.ts';
import type { AlertSource, ReceivedAlert } from '../alert-source.ts';
import { noStoreYet, openExisting } from '../archive.ts';
import { defineCommand } from '../command.ts';
import { isEmbedded, openQueue } from '../compose.ts';
import { CliError, exitCodes } from '../exit.ts';
import { print, say } from '../io.ts';
import type { Io } from '../io.ts';
import { limitOption, outputOption, printJsonLine } from '../output/format.ts';
import { safe } from '../output/safe.ts';
import { paint } from '../output/style.ts';
import { tableLines } from '../output/table.ts';
import { shownTime } from '../output/time.ts';
import { queueSettings } from '../settings.ts';
import type { Settings } from '../settings.ts';
import { tlsOf } from '../tls.ts';

export type AlertsOptions = {
  readonly follow?: boolean;
  readonly limit: number;
  readonly output: 'table' | 'jsonl';
};

type Context = { readonly io: Io; readonly settings: Settings };

export const alertsCommand = defineCommand<AlertsOptions>({
  name: 'alerts',
  summary:
    'Show the alerts that runs have sent. Takes nothing away. With RabbitMQ: those that wait in <prefix>.alerts.',
  settings: queueSettings,
  options: (command) =>
    command
      .option('--follow', 'go on with each new one; with RabbitMQ only those from now on')
      .addOption(limitOption(50, 'how many at most'))
      .addOption(outputOption(['table', 'jsonl'])),
  examples: [
    'alerts',
    'alerts --follow',
    'alerts -o jsonl | jq .event.data',
    'alerts --queue amqp://guest:guest@localhost --follow',
  ],
  run: (context, options) =>
    isEmbedded(context.settings) ? fromStore(context, options) : fromRabbit(context, options),
});

const fromStore = async ({ io, settings }: Context, options: AlertsOptions): Promise<number> => {
  const open = openExisting(settings);
  if (!open && options.follow) throw new CliError(exitCodes.notFound, noStoreYet(settings));
  if (!open) {
    say(io, noStoreYet(settings));
    return exitCodes.done;
  }
  try {
    const source = alertsInStore(open.db, open.archive);
    await showAlerts({ source, io }, options);
    return options.follow ? await followAlerts({ source, io }, options) : exitCodes.done;
  } finally {
    open.db.close();
  }
};

const fromRabbit = async ({ io, settings }: Context, options: AlertsOptions): Promise<number> => {
  const log = { debug() {}, info() {}, warn: tell(io), error: tell(io) };
  const open = openQueue(settings, log);
  try {
    const source = alertsInRabbit({ url: settings.queue, tls: tlsOf(settings), log, ...open.amqp! });
    if (options.follow) return await followAlerts({ source, io }, options);
    await showAlerts({ source, io }, options);
    return exitCodes.done;
  } finally {
    await open.close();
  }
};

const tell = (io: Io) => (_details: object, message: string) => say(io, safe(message));

type Parts = { readonly source: AlertSource; readonly io: Io };

/** Prints the alerts that are there; where there are more than the limit, stderr says so. */
export const showAlerts = async ({ source, io }: Parts, { limit, output }: AlertsOptions): Promise<void> => {
  const { alerts, hasMore } = await source.read(limit);
  if (alerts.length === 0 && output === 'table') say(io, 'No alerts.');
  else printAlerts(io, alerts, output, ['TIME', 'TYPE', 'KEY', '']);
  if (hasMore) say(io, `There are more than these ${limit}: raise --limit.`);
};

/** Prints each alert as it comes, until a signal asks the process to end or nobody reads on. Resolves to the exit code. */
export const followAlerts = async ({ source, io }: Parts, { output }: AlertsOptions): Promise<number> => {
  say(io, 'Waiting for alerts; Ctrl-C ends it.');
  const unread = new AbortController();
  io.out.once('error', () => unread.abort());
  const end = AbortSignal.any([io.interrupted, unread.signal]);
  await source.follow((alert) => printAlerts(io, [alert], output, ['', '', '', '']), end);
  if (!io.interrupted.aborted) return exitCodes.done;
  return io.interrupted.reason === 'SIGTERM' ? exitCodes.SIGTERM : exitCodes.SIGINT;
};

const printAlerts = (
  io: Io,
  alerts: readonly ReceivedAlert[],
  output: AlertsOptions['output'],
  heads: readonly string[],
): void => {
  if (output === 'jsonl') {
    for (const { key, at, repeat, event } of alerts) printJsonLine(io, { key, at, repeat, event });
    return;
  }
  const columns = heads.map((head, index) => ({ head, shrinks: index === 1 || index === 2 }));
  const rows = alerts.map(({ key, at, repeat, event }) => [
    at === null || Number.isNaN(Date.parse(at)) ? '' : alertTime(io, Date.parse(at)),
    safe(typeOf(event)),
    safe(key),
    repeat ? paint(io, 'yellow', 'repeat') : '',
  ]);
  for (const line of tableLines(io, columns, rows)) print(io, line);
};

/** Short on a terminal, so that a key that is made of a UUID fits beside it. */
const alertTime = (io: Io, ms: number): string =>
  io.out.isTTY ? shownTime(io, ms).slice('2026-'.length, -'.123'.length) : shownTime(io, ms);

const typeOf = (event: unknown): string => {
  const type = typeof event === 'object' && event !== null && 'type' in event ? event.type : undefined;
  return typeof type === 'string' ? type : 'unreadable';
};
