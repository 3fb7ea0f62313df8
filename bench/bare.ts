/**
 * A worker that does what has to be done and nothing else: it consumes, sends the alert (mandatory, confirmed),
 * posts the audit entry, and acks. No state machine, no retries. Queues, settings of the drivers, messages and the
 * order of effects are Holdfast's own.
 */
import { connect } from 'amqplib';
import type { ConfirmChannel, ConsumeMessage } from 'amqplib';
import { Agent, request } from 'undici';
import { topologyOf } from '../src/amqp/topology.ts';
import { parseAddress } from '../src/amqp/url.ts';
import { cloudEvent, cloudEventType } from '../src/effects/alert.ts';
import { answer } from './child.ts';

export type BareTodo = { id: string; title: string; notes: string | null; createdAt: string };

export type BareOptions = {
  readonly url: string;
  readonly prefix: string;
  readonly auditUrl: string;
  readonly inFlight: number;
  /** What is done before the effects, if anything is. */
  readonly save?: (todo: BareTodo) => void;
};

/** Resolves when it consumes. It answers the parent's questions, and leaves when it is told to. */
export const startBareWorker = async (options: BareOptions): Promise<void> => {
  const { url, prefix, auditUrl, inFlight, save } = options;
  const { runs, events } = topologyOf({ prefix });
  const address = parseAddress(url).options;
  // Two connections, as Holdfast has them.
  const source = await connect(address, { noDelay: true });
  const sink = await connect(address, { noDelay: true });
  const inlet = await source.createChannel();
  const sendAlert = alertsTo(await sink.createConfirmChannel(), events);
  const dispatcher = new Agent({
    connections: Math.max(8, Math.ceil(inFlight / 2)),
    keepAliveTimeout: 30_000,
  });

  const work = async (message: ConsumeMessage): Promise<void> => {
    const todo = todoOf(message);
    save?.(todo);
    await sendAlert(todo);
    await sendAudit(auditUrl, dispatcher, todo);
    inlet.ack(message);
  };

  await inlet.prefetch(inFlight);
  const inHand = new Set<Promise<void>>();
  const { consumerTag } = await inlet.consume(runs, (message) => {
    // What goes wrong ends the process: one that loses work would be no measure.
    const working = work(message!).finally(() => inHand.delete(working));
    inHand.add(working);
  });

  answer({
    stop: async () => {
      await inlet.cancel(consumerTag);
      await Promise.all(inHand);
      await inlet.close(); // flushes the acks
      await source.close();
      await sink.close();
      await dispatcher.close();
    },
  });
};

/** The arguments with which `subject.ts` starts one. */
export const bareOptions = ([url, prefix, auditUrl, inFlight]: readonly string[]): BareOptions => ({
  url: url!,
  prefix: prefix!,
  auditUrl: auditUrl!,
  inFlight: Number(inFlight),
});

const todoOf = ({ content, properties }: ConsumeMessage): BareTodo => {
  const { title, notes = null } = JSON.parse(content.toString('utf8')) as { title: string; notes?: string };
  return { id: String(properties.messageId), title, notes, createdAt: new Date().toISOString() };
};

const alertsTo = (outlet: ConfirmChannel, exchange: string): ((todo: BareTodo) => Promise<void>) => {
  const returned = new Set<unknown>();
  outlet.on('return', ({ properties }) => returned.add(properties.messageId));
  return ({ id, title, createdAt }) =>
    new Promise((resolve, reject) => {
      const key = `${id}/sendAlert`;
      const alert = { type: 'todo.added', subject: id, time: createdAt, data: { id, title } };
      const body = Buffer.from(JSON.stringify(cloudEvent(alert, key)));
      const properties = {
        messageId: key,
        type: alert.type,
        contentType: cloudEventType,
        persistent: true,
        mandatory: true,
      };
      outlet.publish(exchange, alert.type, body, properties, (error) => {
        if (error || returned.has(key)) reject(new Error(`the alert ${key} was not taken`, { cause: error }));
        else resolve();
      });
    });
};

const sendAudit = async (auditUrl: string, dispatcher: Agent, todo: BareTodo): Promise<void> => {
  const { statusCode, body } = await request(auditUrl, {
    method: 'POST',
    dispatcher,
    headers: {
      'content-type': 'application/json',
      'idempotency-key': JSON.stringify(`${todo.id}/sendAudit`),
    },
    body: JSON.stringify({ action: 'todo.created', at: todo.createdAt, todo }),
  });
  await body.dump();
  if (statusCode !== 201) throw new Error(`the audit service answered HTTP ${statusCode}`);
};
