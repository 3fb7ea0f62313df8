import type { Publisher } from '../amqp/publisher.ts';
import type { Topology } from '../amqp/topology.ts';
import type { RemoteCall } from '../engine/definition.ts';
import { messageOf, TransientError } from '../engine/errors.ts';
import type { Receipt } from '../engine/run.ts';
import { cloudEvent, cloudEventType } from './alert.ts';
import type { Alert } from './alert.ts';

type Context = Pick<Parameters<RemoteCall['perform']>[1], 'key' | 'signal'>;

/** Enough for a first connection. While the broker is away, the run's own backoff does the waiting. */
const patience = 2_000;

/**
 * Sends an alert to the topic exchange of events. It is confirmed when a queue has it safe; a return, a nack and
 * a broker that is away may all pass, so they are transient.
 */
export const sendAlertByAmqp = (publisher: Pick<Publisher, 'publish'>, { events }: Topology) => ({
  perform: async (alert: Alert, { key, signal }: Context): Promise<{ receipt: Receipt }> => {
    const message = {
      exchange: events,
      routingKey: alert.type,
      body: Buffer.from(JSON.stringify(cloudEvent(alert, key))),
      properties: { messageId: key, type: alert.type, contentType: cloudEventType },
    };
    try {
      await publisher.publish(message, { patience, signal });
    } catch (error) {
      throw new TransientError(messageOf(error), { cause: error });
    }
    return { receipt: { confirmed: true } };
  },
});
