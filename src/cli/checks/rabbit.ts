import { isAccessRefused } from '../../amqp/error.ts';
import { messageOf } from '../../engine/errors.ts';
import type { Amqp } from '../../queue/amqp/open.ts';
import { fail, ok, warn } from './finding.ts';
import type { Finding } from './finding.ts';

/** The oldest RabbitMQ whose quorum queues dead-letter at least once. */
const needed = [3, 10] as const;

const patience = 10_000;

/**
 * What only RabbitMQ can get wrong. To connect is to declare every queue with our arguments: one that exists with
 * others has refused us by then, with a line that names it.
 * @throws QueueError
 */
export const checkRabbit = async (amqp: Amqp, where: string): Promise<Finding[]> => [
  checkVersion(await amqp.server(), where),
  await checkArguments(amqp),
  await checkConsumers(amqp),
  checkAckTimeout(amqp),
  ok(
    'policies',
    `cannot be read over AMQP; none with a message-ttl may match ${amqp.topology.runs}: RabbitMQ takes what expires there and comes back for a cycle, and keeps it for ever`,
  ),
];

const checkAckTimeout = ({ declaration }: Amqp): Finding =>
  ok(
    'ack time-out',
    declaration.kind === 'classic'
      ? 'cannot be read over AMQP; with classic queues Holdfast holds a message for up to 6 minutes, so any consumer_timeout above 10 minutes is safe'
      : 'cannot be read over AMQP; Holdfast holds no message for much more than a minute, so any consumer_timeout above 2 minutes is safe',
  );

export const checkVersion = (
  { product, version }: { product: string; version: string },
  where: string,
): Finding => {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  if (product !== 'RabbitMQ')
    return warn(
      'broker',
      `${product} ${version} at ${where} is not RabbitMQ`,
      'Holdfast is tested with RabbitMQ only',
    );
  const isEnough = major > needed[0] || (major === needed[0] && minor >= needed[1]);
  return isEnough
    ? ok('broker', `RabbitMQ ${version} at ${where}`)
    : fail(
        'broker',
        `RabbitMQ ${version} at ${where} is too old: it dead-letters with losses`,
        `upgrade it to ${needed.join('.')} or newer`,
      );
};

/** A user who may not declare was content with what exists, whatever its arguments are. */
const checkArguments = async ({ publisher, topology, declaration }: Amqp): Promise<Finding> => {
  const { submit, runs, waiting, dead, alerts } = topology;
  if (declaration.classic.length > 0) return weaker(declaration);
  try {
    await publisher.perform((channel) => channel.assertExchange(submit, 'topic'), { patience });
    return ok('queue arguments', `as they must be: ${[runs, waiting, dead, alerts].join(', ')}`);
  } catch (error) {
    if (!(error instanceof Error && isAccessRefused(error.cause)))
      return fail('queue arguments', messageOf(error));
    return warn(
      'queue arguments',
      'all queues exist; this user may not verify their arguments',
      'run doctor once as a user who may configure them',
    );
  }
};

/** What runs on classic queues loses nothing that was accepted, as long as their one node keeps its disk. */
const weaker = ({ classic, kind }: Amqp['declaration']): Finding =>
  warn(
    'queue arguments',
    [
      `${classic.join(', ')}: classic, not quorum, so that they live on the disk of one node`,
      ...(kind === 'classic'
        ? [
            'dead-lettering loses messages there when the broker is killed, so a worker keeps those that wait in its hands',
          ]
        : []),
    ].join('; '),
    'stop the workers, delete these queues once they are empty, and start a worker, which declares quorum queues; where the broker has none: rabbitmqctl enable_feature_flag quorum_queue',
  );

const checkConsumers = async ({ publisher, topology }: Amqp): Promise<Finding> => {
  const { messageCount, consumerCount } = await publisher.perform(
    (channel) => channel.checkQueue(topology.runs),
    { patience },
  );
  if (consumerCount > 0)
    return ok(
      'consumers',
      `${consumerCount} on ${topology.runs}; one at a time is active, the others stand by`,
    );
  if (messageCount === 0) return ok('consumers', `none on ${topology.runs}, and nothing to do`);
  return warn(
    'consumers',
    `no worker consumes ${topology.runs}, and it has ${messageCount} to hand out`,
    'holdfast worker --queue URL --audit-url URL',
  );
};
