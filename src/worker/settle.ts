import { messageOf } from '../engine/errors.ts';
import type { Delivery } from '../queue/queue.ts';
import type { Log } from './log.ts';
import type { Settlement } from './turn.ts';

/** Ends a delivery that joins no run. */
export const settle = (delivery: Delivery, settlement: Settlement, log: Log): void => {
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
