import type { Options } from 'amqplib';
import { AmqpError } from './error.ts';

/** A broker's address. Only `name` may be shown. */
export type Address = {
  /** `amqp://localhost:5672/`: protocol, host, port and virtual host. */
  readonly name: string;
  readonly options: Options.Connect;
};

const ports: Readonly<Record<string, number>> = { 'amqp:': 5672, 'amqps:': 5671 };

/** Seconds without a sign of life after which either side gives the connection up; `?heartbeat=` overrides it. */
const defaultHeartbeat = 10;

/**
 * Reads `amqp://user:password@host:5672/vhost`; what is left out is RabbitMQ's default.
 * @throws AmqpError `refused`, without the text that it was given
 */
export const parseAddress = (text: string): Address => {
  const url = parse(text);
  const port = Number(url.port) || ports[url.protocol]!;
  // amqplib decodes the virtual host itself, and a user name only as Latin-1: so one raw, the other decoded.
  const vhost = url.pathname.slice(1);
  const anonymous = url.username === '' && url.password === '';
  return {
    name: `${url.protocol}//${url.hostname}:${port}/${vhost}`,
    options: {
      protocol: url.protocol.slice(0, -1),
      hostname: url.hostname.replaceAll(/^\[|\]$/g, ''),
      port,
      username: anonymous ? 'guest' : decode(url.username),
      password: anonymous ? 'guest' : decode(url.password),
      vhost: vhost || '/',
      heartbeat: heartbeatOf(url),
    },
  };
};

const parse = (text: string): URL => {
  // Not `new URL`: its error carries the whole text, password included.
  const url = URL.parse(text);
  if (!url || !(url.protocol in ports) || url.hostname === '') throw unreadable();
  // A password with a bare slash in it looks like a virtual host, which would be shown.
  if (`${url.pathname}${url.search}${url.hash}`.includes('@')) throw unreadable();
  return url;
};

const decode = (part: string): string => {
  try {
    return decodeURIComponent(part);
  } catch {
    throw unreadable();
  }
};

const heartbeatOf = ({ searchParams }: URL): number => {
  const seconds = Number(searchParams.get('heartbeat') ?? defaultHeartbeat);
  if (!Number.isInteger(seconds) || seconds < 0 || seconds > 65_535) throw unreadable();
  return seconds;
};

const unreadable = (): AmqpError =>
  new AmqpError(
    'refused',
    "the queue's URL cannot be read: write amqp://user:password@host:5672/vhost, with special characters percent-encoded",
  );
