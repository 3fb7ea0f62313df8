import { Option } from 'commander';
import type { Command } from 'commander';
import { z } from 'zod';
import { basicAuth } from '../effects/http-client.ts';
import { messageOf } from '../engine/errors.ts';
import { parseDuration } from './duration.ts';
import { usage } from './exit.ts';

/**
 * Every setting: its flag, else its environment variable, else its default; read by commander, checked here once.
 * Checks are not commander's own, because its errors show the value, and a queue's URL has a password in it.
 */
const options = {
  store: new Option('--store <file>', 'the SQLite file that keeps the runs')
    .env('HOLDFAST_STORE')
    .default('holdfast.db'),
  queue: new Option(
    '--queue <url>',
    'amqp://… or amqps://… for RabbitMQ, or "embedded" for a queue in the store’s file',
  )
    .env('HOLDFAST_QUEUE')
    .default('embedded'),
  prefix: new Option('--prefix <name>', 'how the names of exchanges and queues begin')
    .env('HOLDFAST_PREFIX')
    .default('holdfast'),
  lap: new Option('--lap <duration>', 'how long a message that is handed back waits')
    .env('HOLDFAST_LAP')
    .default('5m'),
  ca: new Option('--ca <file>', 'the CA that signed the broker’s certificate (PEM)').env('HOLDFAST_CA'),
  cert: new Option('--cert <file>', 'the certificate that the broker is shown (PEM)').env('HOLDFAST_CERT'),
  certKey: new Option('--cert-key <file>', 'the private key of --cert (PEM, without a passphrase)').env(
    'HOLDFAST_CERT_KEY',
  ),
  machines: new Option('--machines <file...>', 'modules that export machines of your own').env(
    'HOLDFAST_MACHINES',
  ),
  auditUrl: new Option('--audit-url <url>', 'where audit entries are posted').env('HOLDFAST_AUDIT_URL'),
  auditVerify: new Option(
    '--audit-verify [boolean]',
    'the audit service answers GET <url>/<key>, so ask it before an entry in doubt is posted again',
  )
    .env('HOLDFAST_AUDIT_VERIFY')
    .default(false),
  auditCa: new Option(
    '--audit-ca <file>',
    'the CA that signed the audit service’s certificate (PEM); without it the ones that Node trusts',
  ).env('HOLDFAST_AUDIT_CA'),
  concurrency: new Option('--concurrency <n>', 'deliveries in hand, and calls of one kind, at once')
    .env('HOLDFAST_CONCURRENCY')
    .default('256'),
  callTimeout: new Option('--call-timeout <duration>', 'how long one attempt of a call may take')
    .env('HOLDFAST_CALL_TIMEOUT')
    .default('10s'),
  lease: new Option('--lease <duration>', 'how long a worker that hangs keeps its runs')
    .env('HOLDFAST_LEASE')
    .default('15s'),
  keep: new Option(
    '--keep <duration>',
    'how long runs that are done or cancelled are kept, and with them their keys; for ever where it is left out',
  ).env('HOLDFAST_KEEP'),
  retryBase: new Option('--retry-base <duration>', 'the first wait of the backoff at most')
    .env('HOLDFAST_RETRY_BASE')
    .default('200ms'),
  retryCap: new Option('--retry-cap <duration>', 'the longest wait of the backoff')
    .env('HOLDFAST_RETRY_CAP')
    .default('1m'),
  retryFor: new Option('--retry-for <duration>', 'how long transient errors are retried')
    .env('HOLDFAST_RETRY_FOR')
    .default('1d'),
  logLevel: new Option('--log-level <level>', 'debug, info, warn, error or silent')
    .env('HOLDFAST_LOG_LEVEL')
    .default('info'),
} satisfies Record<string, Option>;

const duration = z.string().transform((text, context) => {
  const ms = parseDuration(text);
  if (ms !== undefined) return ms;
  context.addIssue({ code: 'custom', message: 'is not a duration; write 250ms, 30s, 5m, 2h or 1d' });
  return z.NEVER;
});

const httpUrl = z
  .url({ protocol: /^https?$/, error: 'is not a URL; write http://… or https://…' })
  .transform((text, context) => {
    const url = new URL(text);
    try {
      basicAuth(url);
    } catch (error) {
      context.addIssue({ code: 'custom', message: `is refused: ${messageOf(error)}` });
    }
    return url;
  });

/** The value is never shown: it has credentials in it. */
const queueUrl = z
  .string()
  .refine((text) => text === 'embedded' || (/^amqps?:\/\//.test(text) && URL.canParse(text)), {
    error:
      'is neither "embedded" nor a URL of the form amqp://user:password@host:5672/vhost (escape special characters in the password as %XX)',
  });

/**
 * How old (ms) what is pruned must be: the message of a run may come a lap after the run has ended, and would begin
 * it anew.
 */
export const leastAge = ({ lap }: { lap: number }): number => Math.max(3_600_000, 2 * lap);
export const tooYoung =
  'is less than 1h or two laps: the message of a run may still come so long after the run has ended';

const schema = z
  .object({
    store: z.string().min(1, 'is empty'),
    queue: queueUrl,
    prefix: z
      .string()
      .regex(/^[A-Za-z0-9._-]{1,100}$/, 'may have letters, digits, dots, dashes and underscores'),
    lap: duration,
    ca: z.string().optional(),
    cert: z.string().optional(),
    certKey: z.string().optional(),
    // A list in the environment is divided by commas.
    machines: z.union([z.array(z.string()), z.string().transform((text) => text.split(','))]).default([]),
    auditUrl: httpUrl.optional(),
    auditVerify: z.union([z.boolean(), z.stringbool()], 'is neither true nor false'),
    auditCa: z.string().optional(),
    concurrency: z.coerce
      .number('is not a number')
      .int('is not a whole number')
      .min(1, 'is below 1')
      .max(10_000, 'is above 10000'),
    callTimeout: duration,
    // It is renewed every second; a shorter one would be lost to a pause of the machine.
    lease: duration.refine((ms) => ms >= 3000, { error: 'is shorter than 3s' }),
    keep: duration.optional(),
    retryBase: duration,
    retryCap: duration,
    retryFor: duration,
    logLevel: z.enum(
      ['debug', 'info', 'warn', 'error', 'silent'],
      'is none of debug, info, warn, error, silent',
    ),
  })
  .refine((settings) => settings.keep === undefined || settings.keep >= leastAge(settings), {
    path: ['keep'],
    error: tooYoung,
  });

export type Settings = z.output<typeof schema>;
export type SettingName = keyof typeof options;

/** Gives a command the settings that it uses. */
export const withSettings = (command: Command, names: readonly SettingName[]): Command => {
  for (const name of names) command.addOption(options[name]);
  return command;
};

/** Where RabbitMQ is, and what proves who is who. */
export const brokerSettings = ['queue', 'ca', 'cert', 'certKey'] as const;
export const queueSettings = ['store', ...brokerSettings, 'prefix', 'lap'] as const;
export const workerSettings = [
  ...queueSettings,
  'machines',
  'auditUrl',
  'auditVerify',
  'auditCa',
  'concurrency',
  'callTimeout',
  'lease',
  'keep',
  'retryBase',
  'retryCap',
  'retryFor',
  'logLevel',
] as const;

/** The settings of a command that was parsed; those that it does not take have their defaults. @throws CliError */
export const readSettings = (command: Command): Settings => {
  const given = command.optsWithGlobals<Record<string, unknown>>();
  const all = Object.entries(options).map(([name, option]) => [name, given[name] ?? option.defaultValue]);
  const checked = schema.safeParse(Object.fromEntries(all));
  if (checked.success) return checked.data;
  const problems = checked.error.issues.map(({ path, message }) => {
    const option = options[path[0] as SettingName];
    return `${option.long} (or ${option.envVar}) ${message}`;
  });
  throw usage(problems.join('\n'));
};
