import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, onTestFinished, test } from 'vitest';
import { PermanentError, TransientError } from '../engine/errors.ts';
import { auditOverHttp, entryUrl, idempotencyKeyHeader, parseRetryAfter } from './audit.ts';

const serve = async (answer: (request: IncomingMessage, response: ServerResponse) => void) => {
  const server = createServer(answer).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const url = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/audit`);
  const audit = auditOverHttp(url, { connections: 2, verify: true });
  onTestFinished(async () => {
    await audit.close();
    server.closeAllConnections();
    server.close();
  });
  const perform = (signal = new AbortController().signal, key = 'k"1/sendAudit') =>
    audit.perform({ action: 'x' } as never, { key, attempt: 1, signal });
  const verify = (key: string) => audit.verify!({} as never, { key, signal: new AbortController().signal });
  return { perform, verify, server };
};

test('an entry is posted as JSON with its key as a quoted string, and the status is the receipt', async () => {
  const seen = Promise.withResolvers<{ headers: IncomingMessage['headers']; body: string }>();
  const { perform } = await serve(async (request, response) => {
    let body = '';
    for await (const chunk of request) body += String(chunk);
    seen.resolve({ headers: request.headers, body });
    response.writeHead(201).end();
  });
  expect(await perform()).toEqual({ receipt: { status: 201 } });
  const { headers, body } = await seen.promise;
  expect(headers).toMatchObject({
    'content-type': 'application/json',
    'idempotency-key': '"k\\"1/sendAudit"',
  });
  expect(JSON.parse(body)).toEqual({ action: 'x' });
});

const anyCharacters = [
  'order-1',
  'bestellung-ü',
  '订单-4711',
  'cafe\u0301',
  'caf\u00e9',
  '🙂',
  'a\u2028b',
  'a\\u00fc',
  '\ud83d',
];

test('a key of any characters reaches the receiver as it is', async () => {
  const keys: unknown[] = [];
  const { perform } = await serve((request, response) => {
    keys.push(JSON.parse(String(request.headers['idempotency-key'])));
    response.writeHead(201).end();
  });
  for (const key of anyCharacters) await perform(undefined, key);
  expect(keys).toEqual(anyCharacters);
});

test('the header of a key is ASCII, and no two keys have the same', () => {
  const headers = anyCharacters.map(idempotencyKeyHeader);
  for (const header of headers) expect(header).toMatch(/^"[ -~]*"$/);
  expect(new Set(headers).size).toBe(anyCharacters.length);
});

test('credentials of the URL go along as Basic authentication, decoded', async () => {
  const seen = Promise.withResolvers<IncomingMessage>();
  const { server } = await serve((request, response) => {
    seen.resolve(request);
    response.writeHead(201).end();
  });
  const { port } = server.address() as AddressInfo;
  const audit = auditOverHttp(new URL(`http://j%C3%BCrg:p%40ss:%2F@127.0.0.1:${port}/audit`), {
    connections: 1,
  });
  await audit.perform({} as never, { key: 'k', attempt: 1, signal: new AbortController().signal });
  await audit.close();
  const { headers, url } = await seen.promise;
  const [scheme, credentials = ''] = headers.authorization?.split(' ') ?? [];
  expect([scheme, Buffer.from(credentials, 'base64').toString()]).toEqual(['Basic', 'jürg:p@ss:/']);
  expect(headers).toMatchObject({ 'idempotency-key': '"k"', host: `127.0.0.1:${port}` });
  expect(url).toBe('/audit');
});

test.each(['http://me:s3cret%ff@host/', 'http://a%3Ab:s3cret@host/'])(
  'credentials that cannot be sent are refused, and not shown: %s',
  (text) => {
    const open = () => auditOverHttp(new URL(text), { connections: 1 });
    expect(open).toThrow(/percent-encode/);
    expect(open).not.toThrow(/s3cret/);
  },
);

describe('an answer', () => {
  test('of success counts although its body never ends, and keeps nobody from leaving', async () => {
    const { perform } = await serve((_, response) => {
      response.writeHead(201);
      response.write('thank'); // and never an end
    });
    const before = performance.now();
    expect(await perform(AbortSignal.timeout(20_000))).toEqual({ receipt: { status: 201 } });
    expect(performance.now() - before).toBeLessThan(5_000);
  });

  test.each([400, 401, 404, 409, 422, 451])('of %i is permanent, with its reason', async (status) => {
    const { perform } = await serve((_, response) => void response.writeHead(status).end('no\nsuch thing'));
    await expect(perform()).rejects.toThrow(PermanentError);
    await expect(perform()).rejects.toMatchObject({
      message: `the audit service answered HTTP ${status}: no such thing`,
      receipt: { status },
    });
  });

  test.each([408, 425, 429, 500, 502, 503, 504])('of %i is transient', async (status) => {
    const { perform } = await serve(
      (_, response) => void response.writeHead(status, { 'retry-after': '7' }).end(),
    );
    await expect(perform()).rejects.toThrow(TransientError);
    await expect(perform()).rejects.toMatchObject({ retryAfter: 7000, receipt: { status } });
  });

  test('that leads elsewhere is not followed', async () => {
    const asked: (string | undefined)[] = [];
    const { perform } = await serve(({ url }, response) => {
      asked.push(url);
      response.writeHead(307, { location: '/elsewhere' }).end();
    });
    await expect(perform()).rejects.toThrow(/HTTP 307/);
    expect(asked).toEqual(['/audit']);
  });

  test('that is a refusal with an endless body is not read to its end', async () => {
    const { perform } = await serve((_, response) => {
      response.writeHead(400);
      response.write('x'.repeat(100_000)); // and never an end
    });
    await expect(perform()).rejects.toThrow(/HTTP 400: x{200}$/);
  });

  test('that never comes is transient', async () => {
    const { perform, server } = await serve((request) => request.socket.destroy());
    await expect(perform()).rejects.toThrow(TransientError);
    server.close();
    server.closeAllConnections();
    await expect(perform()).rejects.toThrow(/did not answer: .*ECONNREFUSED/);
  });

  test('is not waited for after the attempt was given up', async () => {
    const { perform } = await serve(() => {});
    await expect(perform(AbortSignal.timeout(50))).rejects.toThrow(TransientError);
  });
});

describe('an entry in doubt', () => {
  test('is asked for by its key: 200 says that it was taken, 404 that it was not', async () => {
    const asked: string[] = [];
    const { verify } = await serve(({ method, url }, response) => {
      asked.push(`${method} ${url}`);
      response.writeHead(asked.length === 1 ? 200 : 404).end('{}');
    });
    expect(await verify('order 1/sendAudit')).toEqual({ receipt: { status: 200 } });
    expect(await verify('ü/sendAudit')).toBeUndefined();
    expect(asked).toEqual(['GET /audit/order%201%2FsendAudit', 'GET /audit/%C3%BC%2FsendAudit']);
  });

  test.each([201, 204, 301, 401, 409, 429, 500, 503])('of which %i says nothing', async (status) => {
    const { verify } = await serve((_, response) => void response.writeHead(status).end());
    await expect(verify('k')).rejects.toThrow(`the audit service cannot tell (HTTP ${status})`);
  });

  test('is not asked for unless the service is said to answer', async () => {
    const audit = auditOverHttp(new URL('http://127.0.0.1:9'), { connections: 1 });
    expect(audit.verify).toBeUndefined();
    await audit.close();
  });

  test.each([
    ['https://host/audit', 'https://host/audit/a%2Fb'],
    ['https://host/', 'https://host/a%2Fb'],
    ['https://user:pass@host/audit/?token=x', 'https://user:pass@host/audit/a%2Fb?token=x'],
  ])('of %s is at %s', (url, entry) => expect(entryUrl(new URL(url), 'a/b').href).toBe(entry));
});

describe('Retry-After', () => {
  const now = Date.parse('2026-01-01T00:00:00Z');
  test.each([
    ['120', 120_000],
    ['0', 0],
    ['Thu, 01 Jan 2026 00:01:00 GMT', 60_000],
    ['Wed, 31 Dec 2025 00:00:00 GMT', 0],
    ['soon', undefined],
    ['', undefined],
  ])('of %j', (value, ms) => expect(parseRetryAfter(value, now)).toBe(ms));
});
