import { expect, onTestFinished, test } from 'vitest';
import { startAuditReceiver } from './receiver.ts';

const receiver = async () => {
  const audit = await startAuditReceiver();
  onTestFinished(() => audit.close());
  const post = async (key: string, body: string) => {
    const { status } = await fetch(audit.url, { method: 'POST', headers: { 'idempotency-key': key }, body });
    return status;
  };
  return { received: audit.received, post };
};

test('an entry is kept under its key; a repeat is told so', async () => {
  const { received, post } = await receiver();
  expect([
    await post('"a\\u00fc"', '{}'),
    await post('"a\\u00fc"', '{"again":1}'),
    await post('plain', '{}'),
  ]).toEqual([201, 200, 201]);
  expect([...received.keys()]).toEqual(['aü', 'plain']);
});

test.each([
  ['a key that is no quoted string', '"', '{}', 400],
  ['an entry that is no JSON', '"k"', 'nonsense', 400],
  ['an entry that is longer than any of ours', '"k"', `"${'x'.repeat(1024 * 1024)}"`, 413],
])('%s is refused and not kept', async (_, key, body, status) => {
  const { received, post } = await receiver();
  expect(await post(key, body)).toBe(status);
  expect(received.size).toBe(0);
});
