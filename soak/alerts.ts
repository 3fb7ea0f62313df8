/** Counts the alerts where they arrive: at a consumer of RabbitMQ's queue, or in the store's table. */
import type { ConsumeMessage } from 'amqplib';
import { guard, Link } from '../src/amqp/link.ts';
import type { Session } from '../src/amqp/link.ts';
import { parseAddress } from '../src/amqp/url.ts';
import { quiet } from '../src/cli/log.ts';
import type { Amqp } from '../src/queue/amqp/open.ts';
import { readAlerts } from '../src/effects/alert-embedded.ts';
import type { Database } from '../src/sqlite/database.ts';
import type { Effects } from './ledger.ts';

export type AlertCounter = { close(): Promise<void> };

const prefetch = 1000;
const pageSize = 1000;
const lookMs = 500;

/** Takes them for good; an ack that is lost brings one again, which counts as a repeat. */
export const countInRabbit = (url: string, { declaration }: Amqp, effects: Effects): AlertCounter => {
  const subscribe = async (session: Session): Promise<void> => {
    await declaration.on(session.model);
    const channel = guard(session, await session.model.createChannel());
    await channel.prefetch(prefetch);
    await channel.consume(declaration.topology.alerts, (message: ConsumeMessage | null) => {
      if (!message) return session.drop(new Error('the broker cancelled the consumer'));
      effects.note(toEffect(String(message.properties.messageId), message.content.toString()));
      channel.ack(message);
    });
  };
  const link = new Link({ address: parseAddress(url), name: 'soak alerts', log: quiet, setup: subscribe });
  return { close: () => link.close() };
};

export const countInStore = (db: Database, effects: Effects): AlertCounter => {
  let last = 0;
  const look = () => {
    for (let page = readAlerts(db, last, pageSize); page.length > 0; page = readAlerts(db, last, pageSize)) {
      for (const { key, event } of page) effects.note(toEffect(key, event));
      last = page.at(-1)!.seq;
    }
  };
  const timer = setInterval(look, lookMs);
  return {
    close: async () => {
      clearInterval(timer);
      look();
    },
  };
};

const toEffect = (key: string, event: string) => ({
  key,
  todo: (JSON.parse(event) as { subject: string }).subject,
});
