import type { Channel, GetMessage } from 'amqplib';
import type { Publisher } from '../../amqp/publisher.ts';
import type { Topology } from '../../amqp/topology.ts';
import type { DeadLetter, DeadLetters } from '../queue.ts';
import { translated } from './errors.ts';
import { deadLetterId, fromDeadLetter, toResubmission } from './message.ts';

/**
 * The dead letters of a broker. Each operation takes letters until it knows enough and puts them back by closing
 * its channel: what one operator holds, another does not see for that moment.
 */
export const amqpDeadLetters = (publisher: Publisher, topology: Topology, patience: number): DeadLetters => {
  const perform = <R>(task: (channel: Channel) => Promise<R>) =>
    translated(publisher.perform(task, { patience }));
  const take = (id: string, before: (letter: GetMessage) => Promise<void>) =>
    perform(async (channel) => {
      const letter = await find(channel, topology.dead, id);
      if (!letter) return false;
      await before(letter);
      channel.ack(letter);
      return true;
    });
  return {
    list: (limit) =>
      perform(async (channel) => {
        let letters: DeadLetter[] = [];
        const oldest = () => letters.toSorted(byAge).slice(0, limit);
        for await (const letter of getAll(channel, topology.dead)) {
          letters.push(fromDeadLetter(letter));
          if (letters.length === 2 * limit) letters = oldest(); // at each one, it took minutes for many
        }
        return oldest();
      }),
    requeue: (id) => take(id, (letter) => publisher.publish(toResubmission(topology, letter), { patience })),
    drop: (id) => take(id, async () => {}),
  };
};

const find = async (channel: Channel, queue: string, id: string): Promise<GetMessage | undefined> => {
  for await (const letter of getAll(channel, queue)) if (deadLetterId(letter) === id) return letter;
  return undefined;
};

/** Without an ack: the queue does not hand out a message twice while this channel holds it. */
async function* getAll(channel: Channel, queue: string): AsyncGenerator<GetMessage> {
  for (let message = await channel.get(queue); message; message = await channel.get(queue)) yield message;
}

/** A quorum queue hands out first what was put back first, whatever its age. */
const byAge = (one: DeadLetter, two: DeadLetter): number => one.at - two.at || (one.id < two.id ? -1 : 1);
