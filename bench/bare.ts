/**
 * A worker that does what has to be done and nothing else: it consumes, sends the alert (mandatory, confirmed),
 * posts the audit entry, and acks. No state machine, no retries. Queues, settings of the drivers, messages and the
 * order of effects are Holdfast's own.
 */
import { connect } from 'amqplib';
import type { ConsumeMessage } from 'amqplib';
import { topologyOf } from '../src/amqp/topology.ts';
import { parseAddress } from '../src/amqp/url.ts';
import { answer } from './child.ts';
import { noteDone } from './done.ts';
import { alertKey, alertOf, auditKey, openEffects } from './effects.ts';
import type { Todo } from './effects.ts';

export type BareOptions = {
  readonly url: string;
  readonly prefix: string;
  readonly auditUrl: string;
  readonly inFlight: number;
  /** What is done before the effects, if anything is. */
  readonly save?: (todo: Todo) => void;
};

/** Resolves when it consumes. It answers the parent's questions, and leaves when it is told to. */
export const startBareWorker = async (options: BareOptions): Promise<void> => {
  const { url, prefix, auditUrl, inFlight, save } = options;
  const { runs, events } = topologyOf({ prefix });
  // A connection of its own, as Holdfast has it: another one sends the alerts.
  const source = await connect(parseAddress(url).options, { noDelay: true });
  const inlet = await source.createChannel();
  const connections = Math.max(8, Math.ceil(inFlight / 2));
  const effects = await openEffects({ amqpUrl: url, exchange: events, auditUrl, connections });

  const done = noteDone();
  const work = async (message: ConsumeMessage): Promise<void> => {
    const todo = todoOf(message);
    save?.(todo);
    await effects.sendAlert(alertOf(todo), alertKey(todo.id));
    await effects.sendAudit(todo, auditKey(todo.id));
    inlet.ack(message);
    if (process.env['NOTE_DONE']) done.note(todo.id);
  };

  await inlet.prefetch(inFlight);
  const inHand = new Set<Promise<void>>();
  const { consumerTag } = await inlet.consume(runs, (message) => {
    // What goes wrong ends the process: one that loses work would be no measure.
    const working = work(message!).finally(() => inHand.delete(working));
    inHand.add(working);
  });

  answer({
    ...done.questions,
    stop: async () => {
      await inlet.cancel(consumerTag);
      await Promise.all(inHand);
      await inlet.close(); // flushes the acks
      await source.close();
      await effects.close();
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

const todoOf = ({ content, properties }: ConsumeMessage): Todo => {
  const { title, notes = null } = JSON.parse(content.toString('utf8')) as { title: string; notes?: string };
  return { id: String(properties.messageId), title, notes, createdAt: new Date().toISOString() };
};
