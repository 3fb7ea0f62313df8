import { expect, inject, onTestFinished, test, vi } from 'vitest';
import { startProxy } from '../queue/amqp/testbed.suite.ts';
import { Link } from './link.ts';
import type { LinkOptions } from './link.ts';
import { parseAddress } from './url.ts';

const open = <T>(url: string, setup: LinkOptions<T>['setup']) => {
  const log = { info: vi.fn<() => void>(), warn: vi.fn<() => void>(), error: vi.fn<() => void>() };
  const link = new Link({ address: parseAddress(url), name: 'a test', log, setup });
  onTestFinished(() => link.close());
  return { link, log };
};

test('a cut is noticed even while the setup does not look', async () => {
  const proxy = await startProxy();
  const started = Promise.withResolvers<void>();
  let tries = 0;
  const { link } = open(proxy.url, () => {
    tries += 1;
    if (tries > 1) return Promise.resolve('built');
    started.resolve();
    return new Promise<string>(() => {});
  });
  await started.promise;
  proxy.cut();
  expect(await link.ready(5_000)).toBe('built');
});

test('who waits goes on waiting through a failed attempt', async () => {
  let tries = 0;
  const { link } = open(inject('amqpUrl'), async () => {
    tries += 1;
    if (tries < 3) throw new Error('not yet');
    return 'built';
  });
  expect(await link.ready(10_000)).toBe('built');
  expect(tries).toBe(3);
});

test('a link that is dropped comes back, and one that is closed does not', async () => {
  let sessions = 0;
  const { link, log } = open(inject('amqpUrl'), async (session) => ({ session, number: (sessions += 1) }));
  const first = await link.ready(5_000);
  first.session.drop(new Error('enough of it'));
  await vi.waitFor(() =>
    expect(log.warn).toHaveBeenCalledWith(expect.anything(), expect.stringContaining('enough of it')),
  );
  expect((await link.ready(5_000)).number).toBe(2);
  await link.close();
  await expect(link.ready(60_000)).rejects.toMatchObject({ kind: 'unavailable' });
  expect(sessions).toBe(2);
});
