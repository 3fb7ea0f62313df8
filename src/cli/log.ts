import { pino } from 'pino';
import type { Logger } from 'pino';
import type { Log } from '../worker/log.ts';
import type { Io } from './io.ts';
import { harmless } from './output/format.ts';
import { safe } from './output/safe.ts';
import type { Settings } from './settings.ts';

/**
 * Lines of JSON on stderr, made readable on a terminal. Written at once (Node writes to stderr synchronously): with
 * a buffer the last lines before a SIGKILL are lost, the ones that tell why. What others said is in them, escaped.
 */
export const openLog = async ({ logLevel }: Pick<Settings, 'logLevel'>, io: Io): Promise<Log> => {
  const format = io.err.isTTY ? await readable() : harmless;
  const logger: Logger = pino(
    { level: logLevel, base: null },
    { write: (line) => void io.err.write(format(line)) },
  );
  return logger;
};

const readable = async (): Promise<(line: string) => string> => {
  const { prettyFactory } = await import('pino-pretty');
  const pretty = prettyFactory({ translateTime: 'HH:MM:ss.l' });
  return (line) => pretty(JSON.stringify(JSON.parse(line, (_, value: unknown) => safeValue(value)))) ?? '';
};

const safeValue = (value: unknown): unknown => {
  if (typeof value === 'string') return safe(value);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([name, field]) => [safe(name), field]));
};

/** For commands that speak for themselves. */
export const quiet: Log = { debug() {}, info() {}, warn() {}, error() {} };
