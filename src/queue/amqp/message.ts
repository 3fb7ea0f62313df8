import { randomUUIDv7 } from 'node:crypto';
import type { Message as AmqpMessage, MessageProperties, Options } from 'amqplib';
import type { Outgoing } from '../../amqp/outlet.ts';
import { deadLetterIdHeader } from '../../amqp/outlet.ts';
import type { Topology } from '../../amqp/topology.ts';
import type { DeadLetter, Message, Submission } from '../queue.ts';

const errorHeader = 'x-error';
const deadAtHeader = 'x-dead-at';

/** Headers share 64 KiB, and the reason is for reading. */
const longestError = 4_000;
const longestHeaders = 48 * 1024;

export const fromAmqp = ({ properties, fields, content }: AmqpMessage): Message => ({
  id: text(properties.messageId),
  machine: text(properties.type) ?? text(fields.routingKey),
  body: content,
});

/** The version stays in the message; a broker routes by the machine. */
export const toSubmission = ({ submit }: Topology, { id, machine, body }: Submission): Outgoing => ({
  exchange: submit,
  routingKey: machine.replace(/@.*$/, ''),
  body,
  properties: { messageId: id, type: machine, contentType: 'application/json' },
});

/** The message as it came, with the reason why it can never become a run. */
export const toDeadLetter = (
  { dead }: Topology,
  message: AmqpMessage,
  error: string,
  now: number,
): Outgoing => ({
  exchange: dead,
  routingKey: message.fields.routingKey,
  body: message.content,
  properties: carried(message.properties, {
    [deadLetterIdHeader]: randomUUIDv7(),
    [errorHeader]: error.slice(0, longestError),
    [deadAtHeader]: now,
  }),
});

/** A dead letter as the submission that it was. */
export const toResubmission = (
  { submit }: Topology,
  { properties, fields, content }: AmqpMessage,
): Outgoing => ({
  exchange: submit,
  routingKey: fields.routingKey,
  body: content,
  // Its dead letter's id stays: a message that has no id of its own is known by it should it be returned.
  properties: carried(properties, { [errorHeader]: undefined, [deadAtHeader]: undefined }),
});

/** What others put into the dead letters may lack our headers; it can still be listed and dropped. */
export const fromDeadLetter = (message: AmqpMessage): DeadLetter => {
  const headers = message.properties.headers ?? {};
  return {
    id: deadLetterId(message),
    at: timeIn(headers[deadAtHeader]),
    error: text(headers[errorHeader]) ?? 'put there by others, without a reason',
    message: fromAmqp(message),
  };
};

export const deadLetterId = ({ properties }: AmqpMessage): string =>
  text(properties.headers?.[deadLetterIdHeader]) ?? text(properties.messageId) ?? 'unnamed';

/**
 * Everything that the sender said, but for two: `expiration` would let the message vanish, and the broker
 * closes the channel of anyone who publishes under the `userId` of another.
 */
const carried = (properties: MessageProperties, headers: Record<string, unknown>): Options.Publish => {
  const {
    contentType,
    contentEncoding,
    priority,
    correlationId,
    replyTo,
    messageId,
    timestamp,
    type,
    appId,
  } = properties;
  return {
    contentType,
    contentEncoding,
    priority,
    correlationId,
    replyTo,
    messageId,
    timestamp,
    type,
    appId,
    headers: { ...small(sendersOwn(properties.headers ?? {})), ...headers },
  };
};

/** What the broker noted about an earlier life would mislead it in the next one: it looks for cycles in `x-death`. */
const sendersOwn = (headers: Record<string, unknown>): Record<string, unknown> =>
  Object.fromEntries(
    Object.entries(headers).filter(
      ([name]) => !/^x-(first-|last-)?death|^x-(delivery|acquired)-count$/.test(name),
    ),
  );

/** No time at all where others wrote something that is none: the farthest that a Date can be is 8.64e15 ms. */
const timeIn = (value: unknown): number =>
  typeof value === 'number' && Math.abs(value) <= 8.64e15 ? value : 0;

/** Headers that leave no room for ours stay behind: a message that cannot be buried would come again for ever. */
const small = (headers: Record<string, unknown>): Record<string, unknown> =>
  Buffer.byteLength(JSON.stringify(headers)) > longestHeaders ? {} : headers;

const text = (value: unknown): string | undefined =>
  typeof value === 'string' && value !== '' ? value : undefined;
