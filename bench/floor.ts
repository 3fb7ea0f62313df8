/**
 * The floor: the least that any worker has to do. It consumes, sends the alert (mandatory, confirmed), posts the
 * audit entry, and acks: no store, no state machine, no retries. Queues, settings of the drivers, messages and
 * the order of effects are Holdfast's own. A process of its own.
 */
import { connect } from 'amqplib';
import type { ConsumeMessage } from 'amqplib';
import { Agent, request } from 'undici';
import { topologyOf } from '../src/amqp/topology.ts';
import { parseAddress } from '../src/amqp/url.ts';
import { cloudEvent, cloudEventType } from '../src/effects/alert.ts';
import { answer } from './child.ts';

const [url, prefix, auditUrl, inFlight] = process.argv.slice(2) as [string, string, string, string];
const { runs, events } = topologyOf({ prefix });
const { options } = parseAddress(url);
const dispatcher = new Agent({
  connections: Math.max(8, Math.ceil(Number(inFlight) / 2)),
  keepAliveTimeout: 30_000,
});

// Two connections, as Holdfast has them.
const source = await connect(options, { noDelay: true });
const sink = await connect(options, { noDelay: true });
const inlet = await source.createChannel();
const outlet = await sink.createConfirmChannel();

const returned = new Set<unknown>();
outlet.on('return', ({ properties }) => returned.add(properties.messageId));

type Todo = { id: string; title: string; notes: string | null; createdAt: string };

const sendAlert = ({ id, title, createdAt }: Todo): Promise<void> =>
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
    outlet.publish(events, alert.type, body, properties, (error) => {
      if (error || returned.has(key)) reject(new Error(`the alert ${key} was not taken`, { cause: error }));
      else resolve();
    });
  });

const sendAudit = async (todo: Todo): Promise<void> => {
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

const work = async (message: ConsumeMessage): Promise<void> => {
  const { title, notes = null } = JSON.parse(message.content.toString('utf8')) as {
    title: string;
    notes?: string;
  };
  const todo: Todo = {
    id: String(message.properties.messageId),
    title,
    notes,
    createdAt: new Date().toISOString(),
  };
  await sendAlert(todo);
  await sendAudit(todo);
  inlet.ack(message);
};

await inlet.prefetch(Number(inFlight));
const inHand = new Set<Promise<void>>();
const { consumerTag } = await inlet.consume(runs, (message) => {
  // What goes wrong ends the process: a floor that loses work would be no floor.
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
