import { connect } from 'amqplib';
import { Agent, request } from 'undici';
import { parseAddress } from '../src/amqp/url.ts';
import { cloudEvent, cloudEventType } from '../src/effects/alert.ts';
import type { Alert } from '../src/effects/alert.ts';

export type Todo = { id: string; title: string; notes: string | null; createdAt: string };

/** What is done to the world for a todo. A repetition has the same key. */
export type Effects = {
  readonly sendAlert: (alert: Alert, key: string) => Promise<void>;
  readonly sendAudit: (todo: Todo, key: string) => Promise<void>;
};

export const alertOf = ({ id, title, createdAt }: Todo): Alert => ({
  type: 'todo.added',
  subject: id,
  time: createdAt,
  data: { id, title },
});

export const alertKey = (id: string): string => `${id}/sendAlert`;
export const auditKey = (id: string): string => `${id}/sendAudit`;

export type EffectsOptions = {
  readonly amqpUrl: string;
  readonly exchange: string;
  readonly auditUrl: string;
  /** HTTP connections at most. */
  readonly connections: number;
};

/** The alert persistent, mandatory and confirmed, both over connections that stay open, as Holdfast has them. */
export const openEffects = async ({
  amqpUrl,
  exchange,
  auditUrl,
  connections,
}: EffectsOptions): Promise<Effects & { close: () => Promise<void> }> => {
  const connection = await connect(parseAddress(amqpUrl).options, { noDelay: true });
  const channel = await connection.createConfirmChannel();
  const dispatcher = new Agent({ connections, keepAliveTimeout: 30_000 });
  const returned = new Set<unknown>();
  channel.on('return', ({ properties }) => returned.add(properties.messageId));
  return {
    sendAlert: (alert, key) =>
      new Promise((resolve, reject) => {
        const body = Buffer.from(JSON.stringify(cloudEvent(alert, key)));
        const properties = {
          messageId: key,
          type: alert.type,
          contentType: cloudEventType,
          persistent: true,
          mandatory: true,
        };
        channel.publish(exchange, alert.type, body, properties, (error) => {
          if (error || returned.has(key)) {
            reject(new Error(`the alert ${key} was not taken`, { cause: error }));
          } else resolve();
        });
      }),
    sendAudit: async (todo, key) => {
      const { statusCode, body } = await request(auditUrl, {
        method: 'POST',
        dispatcher,
        headers: { 'content-type': 'application/json', 'idempotency-key': JSON.stringify(key) },
        body: JSON.stringify({ action: 'todo.created', at: todo.createdAt, todo }),
      });
      await body.dump();
      if (statusCode !== 201) throw new Error(`the audit service answered HTTP ${statusCode}`);
    },
    close: async () => {
      await channel.close();
      await connection.close();
      await dispatcher.close();
    },
  };
};
