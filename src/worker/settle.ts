import { messageOf } from '../engine/errors.ts';
import type { Delivery } from '../queue/queue.ts';
import type { Log } from './log.ts';
import type { Settlement } from './turn.ts';

/** Ends a delivery. Where that throws, the message stays with its queue and comes again; it holds up no other. */
export const settle = (delivery: Delivery, settlement: Settlement, log: Log): void => {
  try {
    end(delivery, settlement, log);
  } catch (cause) {
    log.error(
      { message: delivery.message.id, error: messageOf(cause) },
      'a message cannot be settled; it comes again when the queue closes',
    );
  }
};

const end = (delivery: Delivery, settlement: Settlement, log: Log): void => {
  switch (settlement.how) {
    case 'ack':
      return delivery.ack();
    case 'later':
      return delivery.later();
    case 'deadLetter':
      return deadLetter(delivery, settlement.error, log);
  }
};

const deadLetter = (delivery: Delivery, error: string, log: Log): void => {
  const message = delivery.message.id;
  log.warn({ message, error }, 'dead letter');
  delivery.deadLetter(error).catch((cause: unknown) => {
    log.error({ message, error: messageOf(cause) }, 'could not dead-letter a message; it comes again');
  });
};
