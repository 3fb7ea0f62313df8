import { expect, test } from 'vitest';
import { idOf, inbox, publish } from './inbox.suite.ts';
import type { Queue } from './queue.ts';
import type { OpenQueue } from './queue.suite.ts';

type Open = () => Promise<OpenQueue>;

/** Neither UTF-8 nor JSON: a queue does not look inside. */
const bytes = Buffer.from([0x00, 0xff, 0xfe, 0x7b, 0x0a, 0x80]);

/** What every queue promises of its dead letters. */
export const keepingDeadLetters = (open: Open): void => {
  test('a dead letter keeps the message byte for byte, with its reason and its time', async () => {
    const { queue } = await open();
    const start = Date.now();
    await bury(queue, ['a']);
    const [letter, ...others] = await queue.deadLetters.list(10);
    expect(others).toEqual([]);
    expect(letter).toMatchObject({
      error: 'a is not JSON: ü',
      message: { id: 'a', machine: 'create-todo@1', body: bytes },
    });
    expect(letter!.at).toBeGreaterThanOrEqual(start);
    expect(letter!.at).toBeLessThanOrEqual(Date.now());
  });

  test('a dead letter does not come again by itself', async () => {
    const { queue, another } = await open();
    await bury(queue, ['a']);
    await queue.close();
    const heir = await another();
    await publish(heir, 'next');
    expect(idOf(await inbox(heir).next())).toBe('next');
  });

  test('they are listed oldest first, up to the limit, as often as one likes', async () => {
    const { queue, another } = await open();
    await bury(queue, ['a', 'b', 'c']);
    expect(await listed(queue, 2)).toEqual(['a', 'b']);
    expect(await listed(queue, 10)).toEqual(['a', 'b', 'c']);
    expect(await listed(await another(), 10)).toEqual(['a', 'b', 'c']);
  });
};

export const forgettingDeadLetters = (open: Open): void => {
  test('a dead letter that is requeued is handed out again as it was, once', async () => {
    const { queue } = await open();
    const { next } = await bury(queue, ['a', 'b', 'c']);
    const letters = await queue.deadLetters.list(10);
    expect(await queue.deadLetters.requeue(letters[1]!.id)).toBe(true);
    expect(await next()).toMatchObject({
      redelivered: false,
      message: { id: 'b', machine: 'create-todo@1', body: bytes },
    });
    expect(await queue.deadLetters.list(10)).toEqual([letters[0], letters[2]]);
    expect(await queue.deadLetters.requeue(letters[1]!.id)).toBe(false);
  });

  test('a dead letter that is dropped is gone, and the others stay', async () => {
    const { queue } = await open();
    await bury(queue, ['a', 'b', 'c']);
    const letters = await queue.deadLetters.list(10);
    expect(await queue.deadLetters.drop(letters[1]!.id)).toBe(true);
    expect(await queue.deadLetters.drop(letters[1]!.id)).toBe(false);
    expect(await queue.deadLetters.list(10)).toEqual([letters[0], letters[2]]);
  });

  test('a message can die twice', async () => {
    const { queue } = await open();
    const { next } = await bury(queue, ['a']);
    const [first] = await queue.deadLetters.list(1);
    await queue.deadLetters.requeue(first!.id);
    await (await next()).deadLetter('still wrong');
    const [second, ...others] = await queue.deadLetters.list(10);
    expect(others).toEqual([]);
    expect(second).toMatchObject({ error: 'still wrong', message: first!.message });
    expect(second!.id).not.toBe(first!.id);
  });
};

const bury = async (queue: Queue, ids: string[]) => {
  const { next } = inbox(queue);
  for (const id of ids) {
    await queue.publish({ id, machine: 'create-todo@1', body: bytes });
    await (await next()).deadLetter(`${id} is not JSON: ü`);
  }
  return { next };
};

const listed = async ({ deadLetters }: Queue, limit: number): Promise<string[]> =>
  (await deadLetters.list(limit)).map(idOf);
