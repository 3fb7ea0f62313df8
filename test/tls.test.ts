/** The broker over TLS: whom we trust, whom it trusts, and what a person reads when that fails. */
import { chmodSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startAuditReceiver } from '../src/cli/receiver.ts';
import { startBroker } from '../src/cli/broker/broker.ts';
import type { Broker } from '../src/cli/broker/broker.ts';
import { newAuthority } from './harness/certificates.ts';
import { cli } from './harness/cli-fixture.ts';
import { holdfast } from './harness/cli.ts';
import { tempDir } from './harness/tmp.ts';

const ours = newAuthority('ours');
const theirs = newAuthority('theirs');
const server = ours.sign('localhost');
const client = ours.sign('worker');
const stranger = theirs.sign('stranger');

/** Shows the certificate that `ours` signed for localhost, and lets nobody in without one from `ours`. */
let broker: Broker;

beforeAll(async () => {
  broker = await startBroker({ tls: { ca: ours.ca, ...server, asksClients: true } });
}, 120_000);

afterAll(async () => {
  await broker.dispose();
  for (const authority of [ours, theirs]) authority[Symbol.dispose]();
});

const trusting = (ca: string) => ['--ca', ca];
const showing = ({ cert, key }: { cert: string; key: string }) => ['--cert', cert, '--cert-key', key];
const submit = (queue: string, ...more: string[]) =>
  cli(['submit', 'Buy milk', '--store', path.join(tempDir(), 'none.db'), '--queue', queue, ...more]);

const expectOneLine = async (result: ReturnType<typeof submit>, code: number, says: RegExp) => {
  const { code: exit, out, err } = await result;
  expect(err).toMatch(says);
  expect(err.match(/\n/g)).toHaveLength(1);
  expect(err).not.toContain('guest');
  expect({ exit, out }).toEqual({ exit: code, out: '' });
};

test('a todo goes all the way through over TLS, with the settings from the environment', async () => {
  const audit = await startAuditReceiver();
  const env = {
    HOLDFAST_QUEUE: broker.tlsUrl,
    HOLDFAST_STORE: path.join(tempDir(), 'holdfast.db'),
    HOLDFAST_CA: ours.ca,
    HOLDFAST_CERT: client.cert,
    HOLDFAST_CERT_KEY: client.key,
    HOLDFAST_AUDIT_URL: audit.url.href,
  };
  const { code, stderr } = await holdfast(['submit', 'Buy milk', '--key', 'milk'], { env });
  expect(stderr).toMatch(/accepted by amqps:\/\/localhost/);
  expect(code).toBe(0);
  const worker = await holdfast(['worker', '--drain'], { env });
  expect(worker.code, worker.stderr).toBe(0);
  expect([...audit.received.keys()]).toEqual(['milk/sendAudit']);
  const { stdout } = await holdfast(['alerts', '-o', 'jsonl'], { env });
  expect(stdout).toContain('milk/sendAlert');
  await audit.close();
});

describe('is refused in one line', () => {
  test('a broker whose CA is not ours', () =>
    expectOneLine(
      submit(broker.tlsUrl, ...trusting(theirs.ca), ...showing(client)),
      69,
      /localhost.* is not signed by a CA that is trusted here .*: pass the CA/,
    ));

  test('a broker whose CA is nobody’s', () =>
    expectOneLine(submit(broker.tlsUrl, ...showing(client)), 69, /not signed by a CA that is trusted here/));

  test('a broker under a name that is not in its certificate', () =>
    expectOneLine(
      submit(broker.tlsUrl.replace('localhost', '127.0.0.1'), ...trusting(ours.ca), ...showing(client)),
      69,
      /127\.0\.0\.1.* is for another name/,
    ));

  test('a client without a certificate, by a broker that asks for one', () =>
    expectOneLine(
      submit(broker.tlsUrl, ...trusting(ours.ca)),
      69,
      /asks for a client certificate: pass one/,
    ));

  test('a client whose CA the broker does not trust', () =>
    expectOneLine(
      submit(broker.tlsUrl, ...trusting(ours.ca), ...showing(stranger)),
      69,
      /does not accept the client certificate/,
    ));

  test('a port that does not speak TLS', () =>
    expectOneLine(
      submit(broker.url.replace('amqp:', 'amqps:'), ...trusting(ours.ca)),
      69,
      /does not speak TLS: use the port that does/,
    ));
});

describe('is refused before anything is connected', () => {
  const nowhere = 'amqps://guest:guest@localhost:1';

  test('a file that cannot be read', () =>
    expectOneLine(submit(nowhere, ...trusting('/none/ca.pem')), 2, /--ca \/none\/ca\.pem cannot be read/));

  test('a CA that is no certificate', () => {
    const file = path.join(tempDir(), 'ca.pem');
    writeFileSync(file, 'hello');
    return expectOneLine(submit(nowhere, ...trusting(file)), 2, /ca\.pem is no certificate in PEM/);
  });

  test('a certificate with the key of another one', () =>
    expectOneLine(
      submit(nowhere, ...showing({ cert: client.cert, key: stranger.key })),
      2,
      /do not go together .*mismatch/,
    ));

  test.each([
    ['--cert', client.cert],
    ['--cert-key', client.key],
  ])('%s alone', (flag, file) => expectOneLine(submit(nowhere, flag, file), 2, /give both/));

  test('a CA for a connection that would check nothing', () =>
    expectOneLine(
      submit('amqp://guest:guest@localhost:1', ...trusting(ours.ca)),
      2,
      /neither checks nor encrypts anything: write amqps:\/\//,
    ));
});

describe('doctor', () => {
  const doctor = (...more: string[]) =>
    cli([
      'doctor',
      '--store',
      path.join(tempDir(), 'none.db'),
      '--queue',
      broker.tlsUrl,
      ...trusting(ours.ca),
      ...more,
    ]);

  test('warns of a key that everybody on this machine can read', async () => {
    chmodSync(client.key, 0o644);
    const { out } = await doctor(...showing(client));
    expect(out).toMatch(/warn +client key +.*worker\.key can be read by everyone .*mode 644/);
    expect(out).toMatch(/chmod 600/);
    chmodSync(client.key, 0o640);
    expect((await doctor(...showing(client))).out).not.toMatch(/warn +client key/);
  });

  test('says that a client certificate is missing', async () => {
    expect((await doctor()).out).toMatch(/fail +queue +.*asks for a client certificate/);
  });
});
