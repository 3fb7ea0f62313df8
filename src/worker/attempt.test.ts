import { describe, expect, test } from 'vitest';
import type { RemoteCall } from '../engine/definition.ts';
import { attemptCall } from './attempt.ts';
import { eventLoop } from './scheduler.ts';

const call = { id: 'c', src: 'c', key: 'r1/c', attempt: 2, input: { n: 1 } };

/** Makes one attempt, and tells what the receiver was asked for. */
const attempt = async (
  verify: RemoteCall['verify'] | undefined,
  { inDoubt = true, limit = 1000, abort = new AbortController() } = {},
) => {
  const asked: string[] = [];
  const remote: RemoteCall = {
    async perform(_input, { key }) {
      asked.push(`perform ${key}`);
      return { output: 'performed', receipt: { status: 201 } };
    },
    ...(verify && {
      verify(input: never, context) {
        asked.push(`verify ${context.key} ${JSON.stringify(input)}`);
        return verify(input, context);
      },
    }),
  };
  const result = await attemptCall({ remote, call, limit, inDoubt, scheduler: eventLoop }, abort);
  return { asked, result };
};

const performed = { ok: true, output: 'performed', receipt: { status: 201 } };
const verifyThenPerform = ['verify r1/c {"n":1}', 'perform r1/c'];

describe('a call in doubt', () => {
  test('that took effect is answered with what the receiver has, and the receipt says so', async () => {
    const { asked, result } = await attempt(async () => ({ output: 'known', receipt: { status: 200 } }));
    expect(asked).toEqual(['verify r1/c {"n":1}']);
    expect(result).toEqual({ ok: true, output: 'known', receipt: { status: 200, verified: true } });
  });

  test('that took no effect is performed under the same key', async () => {
    expect(await attempt(async () => undefined)).toEqual({ asked: verifyThenPerform, result: performed });
  });

  test('of which nobody can tell is performed under the same key', async () => {
    const rejects = () => Promise.reject(new Error('HTTP 500'));
    expect(await attempt(rejects)).toEqual({ asked: verifyThenPerform, result: performed });
    const throws = () => {
      throw new Error('a bug');
    };
    expect(await attempt(throws)).toEqual({ asked: verifyThenPerform, result: performed });
  });

  test('whose receiver does not say is performed after the time-out, which it is told of', async () => {
    let told: AbortSignal | undefined;
    const hangs: RemoteCall['verify'] = (_, { signal }) => {
      told = signal;
      return new Promise(() => {});
    };
    expect(await attempt(hangs, { limit: 20 })).toEqual({ asked: verifyThenPerform, result: performed });
    expect(told!.aborted).toBe(true);
  });

  test('that is given up while the receiver is asked is not performed', async () => {
    const abort = new AbortController();
    const asks: RemoteCall['verify'] = () => {
      abort.abort();
      return new Promise(() => {});
    };
    const { asked, result } = await attempt(asks, { abort });
    expect(asked).toEqual(['verify r1/c {"n":1}']);
    expect(result.ok).toBe(false);
  });

  test('is performed where the receiver cannot be asked', async () => {
    expect(await attempt(undefined)).toEqual({ asked: ['perform r1/c'], result: performed });
  });
});

test('a call that is not in doubt is performed at once', async () => {
  const { asked } = await attempt(async () => ({}), { inDoubt: false });
  expect(asked).toEqual(['perform r1/c']);
});
