import type { Dispatcher } from 'undici';
import type { RemoteCall } from '../engine/definition.ts';
import { PermanentError, TransientError, messageOf, shortageOf } from '../engine/errors.ts';
import type { Receipt } from '../engine/run.ts';
import { exchange, isSuccess } from './exchange.ts';
import { openClient } from './http-client.ts';
import type { ClientOptions } from './http-client.ts';

/** A 4xx says that the request is wrong, and stays wrong; these three say: later (RFC 9110, RFC 8470, RFC 6585). */
const passing = new Set([408, 425, 429]);

export type Audit = RemoteCall & { close(): Promise<void> };

export type AuditOptions = ClientOptions & {
  /** The service answers `GET <url>/<key>`: 200 when it has taken the entry, 404 when it has not. */
  readonly verify?: boolean;
};

/**
 * Posts an audit entry as JSON, one HTTP attempt a call: retries belong to the machine. The header
 * `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header: a quoted string) is the same on every attempt.
 * With `verify`, an entry that is in doubt after a crash is asked for before it is posted again.
 * A status of success is all that counts: of the body no more than a little is read, and not waited for.
 * @throws PermanentError for a 4xx other than 408, 425 and 429; TransientError for all else, with its Retry-After.
 */
export const auditOverHttp = (url: URL, { verify = false, ...options }: AuditOptions): Audit => {
  const dispatcher = openClient(url, options);
  const place = placeOf(url);
  return {
    async perform(entry: unknown, { key, signal }) {
      const response = await post(place, { entry, key, signal, dispatcher });
      return { receipt: { status: response.status } };
    },
    ...(verify && { verify: (_entry: unknown, { key, signal }) => ask(url, { key, signal, dispatcher }) }),
    close: () => dispatcher.close(),
  };
};

/** Where the entry of a key is asked for. The key is one part of the path, so that a service that knows no keys says 404. */
export const entryUrl = (url: URL, key: string): URL => {
  const entry = new URL(url);
  entry.pathname = `${url.pathname.replace(/\/$/, '')}/${encodeURIComponent(key)}`;
  return entry;
};

type Question = { key: string; signal: AbortSignal; dispatcher: Dispatcher };

/** @throws TransientError for every answer but 200 and 404: then nobody can tell. */
const ask = async (
  url: URL,
  { key, signal, dispatcher }: Question,
): Promise<{ receipt: Receipt } | undefined> => {
  const { status } = await exchange(dispatcher, { ...placeOf(entryUrl(url, key)), method: 'GET' }, signal);
  if (status === 200) return { receipt: { status } };
  if (status === 404) return undefined;
  throw new TransientError(`the audit service cannot tell (HTTP ${status})`, { receipt: { status } });
};

/** A key as an HTTP header: a quoted string. A header is ASCII; JSON says everything in it, and no two keys become one. */
export const idempotencyKeyHeader = (key: string): string =>
  JSON.stringify(key).replace(/[^ -~]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);

type Post = { entry: unknown; key: string; signal: AbortSignal; dispatcher: Dispatcher };

const post = async (place: Place, { entry, key, signal, dispatcher }: Post): Promise<{ status: number }> => {
  const request = {
    ...place,
    method: 'POST',
    headers: { 'content-type': 'application/json', 'idempotency-key': idempotencyKeyHeader(key) },
    body: JSON.stringify(entry),
  };
  const { status, excerpt, retryAfter } = await exchange(dispatcher, request, signal).catch(
    (error: unknown) => {
      throw new TransientError(unanswered(error), { cause: error });
    },
  );
  if (!isSuccess(status)) throw refusal(status, excerpt, retryAfter);
  return { status };
};

type Place = Pick<Dispatcher.DispatchOptions, 'path'> & { origin: string };

const placeOf = ({ origin, pathname, search }: URL): Place => ({ origin, path: pathname + search });

const unanswered = (error: unknown): string => {
  const shortage = shortageOf(error);
  return shortage === undefined
    ? `the audit service did not answer: ${messageOf(error)}`
    : `the audit service was not asked: ${shortage}`;
};

/** What an answer that is no success means to a run. */
export const refusal = (
  status: number,
  excerpt: string,
  retryAfter: string | string[] | undefined,
): Error => {
  const message = `the audit service answered HTTP ${status}${excerpt && `: ${excerpt}`}`;
  const receipt: Receipt = { status };
  if (status >= 400 && status < 500 && !passing.has(status)) return new PermanentError(message, { receipt });
  return new TransientError(message, { receipt, retryAfter: parseRetryAfter(retryAfter, Date.now()) });
};

/** In ms. RFC 9110, 10.2.3: a number of seconds, or an HTTP date. */
export const parseRetryAfter = (value: string | string[] | undefined, now: number): number | undefined => {
  const text = (Array.isArray(value) ? value[0] : value)?.trim();
  if (!text) return undefined;
  if (/^\d+$/.test(text)) return Number(text) * 1000;
  const at = Date.parse(text);
  return Number.isNaN(at) ? undefined : Math.max(0, at - now);
};
