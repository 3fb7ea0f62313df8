import { pino } from 'pino';
import type { Logger } from 'pino';
import type { Log } from '../worker/log.ts';
import type { Io } from './io.ts';
import type { Settings } from './settings.ts';

/**
 * Lines of JSON on stderr, made readable on a terminal. Written synchronously: with an asynchronous
 * destination the last lines before a SIGKILL are lost, the ones that tell why.
 */
export const openLog = async ({ logLevel }: Pick<Settings, 'logLevel'>, io: Io): Promise<Log> => {
  const destination = io.err.isTTY ? await readable() : pino.destination({ dest: 2, sync: true });
  const logger: Logger = pino({ level: logLevel, base: null }, destination);
  return logger;
};

const readable = async () => {
  const { default: pretty } = await import('pino-pretty');
  return pretty({ destination: 2, sync: true, translateTime: 'HH:MM:ss.l' });
};

/** For commands that speak for themselves. */
export const quiet: Log = { debug() {}, info() {}, warn() {}, error() {} };
