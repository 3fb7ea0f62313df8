import type { Channel } from 'amqplib';
import { expect, onTestFinished, test, vi } from 'vitest';
import { topologyOf } from '../../amqp/topology.ts';
import { amqpDeadLetters } from './dead-letters.ts';

/** A broker that has `count` letters, which come with the youngest first. */
const lettersOf = (count: number) => {
  let left = count;
  const get = async () => {
    if (left === 0) return false;
    left -= 1;
    const headers = { 'x-dead-letter-id': `${left}`, 'x-dead-at': left };
    return { fields: { routingKey: 'create-todo' }, properties: { headers }, content: Buffer.from('{}') };
  };
  const publisher = {
    perform: <R>(task: (channel: Channel) => Promise<R>) => task({ get } as unknown as Channel),
  };
  return amqpDeadLetters(publisher as never, topologyOf({}), 1000);
};

test('the oldest of many are listed, in their order', async () => {
  const letters = await lettersOf(1000).list(3);
  expect(letters.map(({ id }) => id)).toEqual(['0', '1', '2']);
  expect(await lettersOf(0).list(3)).toEqual([]);
});

test('many are sorted now and then, and not at each one', async () => {
  const sort = vi.spyOn(Array.prototype, 'toSorted');
  onTestFinished(() => sort.mockRestore());
  expect(await lettersOf(1000).list(100)).toHaveLength(100);
  expect(sort.mock.calls.length).toBeLessThan(20);
});
