import fc from 'fast-check';
import { start } from '../../src/engine/interpreter.ts';
import { fromAmqp, fromDeadLetter, toDeadLetter, toResubmission } from '../../src/queue/amqp/message.ts';
import { topologyOf } from '../../src/amqp/topology.ts';
import { iso } from '../../src/cli/output/time.ts';
import { takeIn } from '../../src/worker/intake.ts';
import { todos } from '../harness/cli-fixture.ts';
import { hostileJson, hostileJsonText, hostileText } from './hostile.ts';
import { target } from './target.ts';

const clock = { now: () => 0, random: () => 0.5 };

const maybe = (text: fc.Arbitrary<string>, ...usual: string[]) =>
  fc.oneof({ weight: 3, arbitrary: fc.constantFrom(...usual) }, text, fc.constant(undefined));

const body = fc.oneof(
  { weight: 4, arbitrary: hostileJsonText.map((text) => Buffer.from(text)) },
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)) },
  {
    weight: 1,
    arbitrary: fc.integer({ min: 65_530, max: 65_540 }).map((size) => Buffer.alloc(size, '{"title":1}')),
  },
);

/** Whatever a sender says, a message is taken, refused with a reason, or kept for those who know its machine. */
export const messages = target('messages that come in', 0.4, async () => {
  const registry = todos();
  return {
    input: fc.record({
      id: maybe(hostileText, 'milk', '0199f0c2'),
      machine: maybe(hostileText, 'create-todo', 'create-todo@1', 'create-todo@2', '__proto__'),
      body,
    }),
    attempt: (message) => {
      const intake = takeIn(message, registry);
      if (intake.type === 'refused' && intake.error === '') throw new Error('refused without a reason');
      if (intake.type !== 'accepted') return;
      if (intake.request.problem === '') throw new Error('refused without a reason');
      if (intake.request.problem !== undefined) return;
      // What is accepted can be started, and is the same after it was kept as text.
      const { machine, id, input } = intake.request;
      const { run } = start(machine, id, input, clock);
      const again = takeIn({ ...message, body: Buffer.from(run.input) }, registry);
      if (again.type !== 'accepted' || again.request.fingerprint !== intake.request.fingerprint)
        throw new Error('another run after it was kept');
      if (Object.keys({}).length > 0 || 'title' in {}) throw new Error('a prototype was written to');
    },
  };
});

const header = fc.oneof(
  hostileJson,
  hostileText,
  fc.double(),
  fc.constant({ '!': 'timestamp', value: 1e300 }),
  fc.uint8Array({ maxLength: 8 }).map((bytes) => Buffer.from(bytes)),
);

const headers = fc.oneof(
  fc.constant(undefined),
  fc.dictionary(
    fc.oneof(
      fc.constantFrom(
        'x-error',
        'x-dead-at',
        'x-dead-letter-id',
        'x-death',
        'x-first-death-queue',
        '__proto__',
      ),
      hostileText,
    ),
    header,
    { maxKeys: 5 },
  ),
);

/** Whatever stands in its properties and headers, a message can be buried, listed, shown and submitted again. */
export const properties = target('properties and headers of messages', 0.2, async () => {
  const topology = topologyOf({});
  return {
    input: fc.record({
      content: fc.uint8Array({ maxLength: 50 }).map((bytes) => Buffer.from(bytes)),
      fields: fc.record({ routingKey: hostileText, redelivered: fc.boolean(), deliveryTag: fc.nat() }),
      properties: fc.record({
        headers,
        messageId: fc.oneof(hostileText, fc.constant(undefined), header),
        type: fc.oneof(hostileText, fc.constant(undefined), header),
        expiration: hostileText,
        userId: hostileText,
        timestamp: header,
      }),
      error: hostileText,
    }),
    attempt: ({ error, ...received }) => {
      const message = received as unknown as Parameters<typeof toDeadLetter>[1];
      const { id, machine } = fromAmqp(message);
      if ([id, machine].some((text) => text === '' || (text !== undefined && typeof text !== 'string')))
        throw new Error('an id or a machine that is no text');
      const buried = toDeadLetter(topology, message, error, 0);
      if ('expiration' in buried.properties || 'userId' in buried.properties)
        throw new Error('a dead letter that would vanish, or close the channel');
      const letter = fromDeadLetter(message);
      iso(letter.at);
      if (typeof letter.error !== 'string' || typeof letter.id !== 'string') throw new Error('no text');
      toResubmission(topology, message);
    },
  };
});
