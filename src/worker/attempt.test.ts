import { describe, expect, test, vi } from 'vitest';
import type { RemoteCall } from '../engine/definition.ts';
import { Attempt } from './attempt.ts';
import { eventLoop } from './scheduler.ts';

const call = { id: 'c', src: 'c', key: 'r1/c', attempt: 2, input: { n: 1 } };

type Verify = NonNullable<RemoteCall['verify']>;

/** Makes one attempt, and tells what the receiver was asked for. */
const attempt = async (
  verify: ((...asked: [...Parameters<Verify>, giveUp: () => void]) => ReturnType<Verify>) | undefined,
  { inDoubt = true, limit = 1000 } = {},
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
        return verify(input, context, () => made.giveUp());
      },
    }),
  };
  const made = new Attempt({ remote, call, limit, inDoubt, scheduler: eventLoop });
  return { asked, result: await made.make() };
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
    let told: AbortSignal | undefined;
    const { asked, result } = await attempt((_, { signal }, giveUp) => {
      told = signal;
      giveUp();
      return new Promise(() => {});
    });
    expect(asked).toEqual(['verify r1/c {"n":1}']);
    expect(result.ok).toBe(false);
    expect(told!.aborted).toBe(true);
  });

  test('is performed where the receiver cannot be asked', async () => {
    expect(await attempt(undefined)).toEqual({ asked: ['perform r1/c'], result: performed });
  });
});

describe('a call that is not in doubt', () => {
  test('is performed at once', async () => {
    const { asked } = await attempt(async () => ({}), { inDoubt: false });
    expect(asked).toEqual(['perform r1/c']);
  });

  /** A receiver that does not heed its signal. */
  const deaf = (limit: number) => {
    const signals: AbortSignal[] = [];
    const perform: RemoteCall['perform'] = (_, { signal }) => {
      signals.push(signal);
      return new Promise(() => {});
    };
    const made = new Attempt({ remote: { perform }, call, limit, inDoubt: false, scheduler: eventLoop });
    return { made, signals };
  };

  test('ends in time, and its signal says so', async () => {
    const { made, signals } = deaf(20);
    const late = { ok: false, permanent: false, message: 'no answer within 20 ms' };
    expect(await made.make()).toMatchObject(late);
    expect(signals.map(({ reason }) => String(reason))).toEqual(['TransientError: no answer within 20 ms']);
  });

  test('ends when it is given up, and its signal says so', async () => {
    const { made, signals } = deaf(60_000);
    const result = made.make();
    made.giveUp();
    expect(await result).toMatchObject({ ok: false, permanent: false });
    expect(signals.map(({ aborted }) => aborted)).toEqual([true]);
  });

  test.each<[string, RemoteCall['perform']]>([
    ['rejects', () => Promise.reject(new Error('no'))],
    [
      'throws',
      () => {
        throw new Error('no');
      },
    ],
  ])('that %s fails with what it says, and leaves no timer', async (_, perform) => {
    const cancel = vi.fn<() => void>();
    const scheduler = { ...eventLoop, after: () => cancel };
    const made = new Attempt({ remote: { perform }, call, limit: 1000, inDoubt: false, scheduler });
    expect(await made.make()).toMatchObject({ ok: false, message: 'no' });
    expect(cancel).toHaveBeenCalledOnce();
  });
});
