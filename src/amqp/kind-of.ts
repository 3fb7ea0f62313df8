import type { ChannelModel } from 'amqplib';
import { hasOtherSettings, textOf } from './error.ts';
import { withChannel } from './link.ts';
import type { QueueArguments } from './topology.ts';

type Value = QueueArguments[string];

/** More arguments than any queue has. */
const mostArguments = 30;

/**
 * What `x-queue-type` a queue has, learnt from refusals: AMQP has no question for it, but whoever declares a queue
 * with other arguments is told one of them with its value, and may ask again with that one put right. Nothing where
 * the refusals do not tell.
 */
export const kindOf = async (
  model: ChannelModel,
  queue: string,
  wanted: QueueArguments,
): Promise<string | undefined> => {
  const args = new Map<string, Value>(Object.entries(wanted));
  for (let asked = 0; asked < mostArguments; asked += 1) {
    const difference = await differenceOf(model, queue, args);
    if (difference === 'none') return String(args.get('x-queue-type'));
    if (!difference) return undefined;
    const { name, value } = difference;
    if (name === 'x-queue-type') return String(value ?? 'classic'); // which is what a queue is that has none
    if (value === undefined) args.delete(name);
    else args.set(name, value);
  }
  return undefined;
};

const differenceOf = async (model: ChannelModel, queue: string, args: ReadonlyMap<string, Value>) => {
  try {
    await withChannel(model, (channel) =>
      channel.assertQueue(queue, { arguments: Object.fromEntries(args) }),
    );
    return 'none';
  } catch (error) {
    if (!hasOtherSettings(error)) throw error;
    return read(textOf(error));
  }
};

/** `inequivalent arg 'x-max-length' for queue 'q' in vhost '/': received none but current is the value '7' of type 'byte'`; of a kind it says `current is 'classic'`. */
const read = (refusal: string): { name: string; value: Value | undefined } | undefined => {
  const [, name, value, type] =
    /inequivalent arg '(x-[^']+)' .* current is (?:none|(?:the value )?'(.*?)'(?: of type '(\w+)')?)$/.exec(
      refusal,
    ) ?? [];
  if (name === undefined) return undefined;
  return { name, value: value === undefined ? undefined : typed(value, type) };
};

const typed = (value: string, type: string | undefined): Value => {
  if (type === undefined || type === 'longstr') return value;
  return type === 'bool' ? value === 'true' : Number(value);
};
