import { AmqpError } from '../../amqp/error.ts';
import { QueueError } from '../queue.ts';

/** The port's own error, of the same kind and with the same line. */
export const asQueueError = (error: unknown): unknown =>
  error instanceof AmqpError ? new QueueError(error.kind, error.message, { cause: error.cause }) : error;

/** Settles as `work` does, with the port's errors. */
export const translated = async <T>(work: Promise<T>): Promise<T> => {
  try {
    return await work;
  } catch (error) {
    throw asQueueError(error);
  }
};
