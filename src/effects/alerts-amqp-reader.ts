import type { Channel, ConsumeMessage, GetMessage } from 'amqplib';
import type { Declaration } from '../amqp/declaration.ts';
import { toAmqpError } from '../amqp/error.ts';
import { guard, Link } from '../amqp/link.ts';
import type { LinkOptions, Session } from '../amqp/link.ts';
import type { Publisher } from '../amqp/publisher.ts';
import type { Topology } from '../amqp/topology.ts';
import { parseAddress } from '../amqp/url.ts';

/** An alert as the broker has it: `key` is its message id, `body` a CloudEvent as JSON. */
export type PublishedAlert = { readonly key: string; readonly body: Buffer };

export type Peeked = { readonly alerts: readonly PublishedAlert[]; readonly hasMore: boolean };

const patience = 10_000;

/**
 * The alerts that wait in the broker, up to `limit`. It takes nothing away: what was looked at goes back when the
 * channel closes. For that moment another reader of the queue does not see it.
 * @throws AmqpError
 */
export const peekAlerts = (
  publisher: Pick<Publisher, 'perform'>,
  { alerts }: Topology,
  limit: number,
): Promise<Peeked> =>
  publisher.perform(
    async (channel) => {
      const found: PublishedAlert[] = [];
      let left = 0;
      while (found.length < limit) {
        const message = await channel.get(alerts);
        if (!message) return { alerts: found, hasMore: false };
        found.push(toAlert(message));
        left = message.fields.messageCount;
      }
      return { alerts: found, hasMore: left > 0 };
    },
    { patience },
  );

export type Following = {
  /** Rejects when the broker does not let us in, or cannot be reached at the start. @throws AmqpError */
  readonly ready: Promise<void>;
  close(): Promise<void>;
};

type FollowOptions = Pick<LinkOptions<Channel>, 'tls' | 'log'> & {
  readonly url: string;
  readonly declaration: Declaration;
  readonly onAlert: (alert: PublishedAlert) => void;
};

/**
 * Calls back for each alert from now on, through a queue of its own that goes when this reader does: it takes
 * nothing from others. What is sent while its connection is away, it does not see.
 * @throws AmqpError when the URL cannot be read
 */
export const followAlerts = ({ url, tls, log, declaration, onAlert }: FollowOptions): Following => {
  const address = parseAddress(url);
  const link = new Link({
    address,
    tls,
    log,
    name: 'holdfast alerts',
    setup: (session) => subscribe(session, declaration, onAlert),
  });
  return { ready: settled(link, address.name), close: () => link.close() };
};

const settled = async (link: Link<Channel>, where: string): Promise<void> => {
  try {
    await link.ready(patience);
  } catch (error) {
    throw toAmqpError(error, where);
  }
};

const subscribe = async (
  session: Session,
  declaration: Declaration,
  onAlert: (alert: PublishedAlert) => void,
): Promise<Channel> => {
  await declaration.on(session.model);
  const channel = guard(session, await session.model.createChannel());
  const { queue } = await channel.assertQueue('', { exclusive: true, autoDelete: true });
  await channel.bindQueue(queue, declaration.topology.events, '#');
  const receive = (message: ConsumeMessage | null) => {
    if (message) return onAlert(toAlert(message));
    session.drop(new Error('the broker cancelled the consumer'));
  };
  await channel.consume(queue, receive, { noAck: true });
  return channel;
};

const toAlert = ({ properties, content }: GetMessage | ConsumeMessage): PublishedAlert => ({
  key: typeof properties.messageId === 'string' ? properties.messageId : '',
  body: content,
});
