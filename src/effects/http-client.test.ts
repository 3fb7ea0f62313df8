import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { newAuthority } from '../../test/harness/certificates.ts';
import { auditOverHttp } from './audit.ts';

const ours = newAuthority('ours');
const theirs = newAuthority('theirs');
const { cert, key } = ours.sign('localhost');
const server = createServer({ cert: readFileSync(cert), key: readFileSync(key) }, (_, response) =>
  response.writeHead(201).end(),
);

beforeAll(async () => {
  await once(server.listen(0, '127.0.0.1'), 'listening');
});

afterAll(() => {
  server.close();
  for (const authority of [ours, theirs]) authority[Symbol.dispose]();
});

const post = async (host: string, ca: string | undefined) => {
  const url = new URL(`https://me:s3cret@${host}:${(server.address() as AddressInfo).port}/audit`);
  const audit = auditOverHttp(url, { connections: 1, ca: ca === undefined ? ca : readFileSync(ca) });
  const context = { key: 'k', attempt: 1, signal: AbortSignal.timeout(5_000) };
  return audit.perform({} as never, context).finally(() => audit.close());
};

test('a service whose certificate our CA signed is trusted', async () => {
  expect(await post('localhost', ours.ca)).toEqual({ receipt: { status: 201 } });
});

test.each([
  ['of a CA that is not ours', 'localhost', theirs.ca, /self-signed|unable to verify/],
  ['of a CA that nobody named', 'localhost', undefined, /self-signed|unable to verify/],
  ['for another name', '127.0.0.1', ours.ca, /does not match certificate's altnames/],
])('a certificate %s is not, and no credentials are sent or shown', async (_, host, ca, says) => {
  const received: unknown[] = [];
  server.on('request', (request) => received.push(request));
  await expect(post(host, ca)).rejects.toThrow(says);
  await expect(post(host, ca)).rejects.not.toThrow(/s3cret/);
  expect(received).toEqual([]);
});
