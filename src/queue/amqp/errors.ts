import { AmqpError } from '../../amqp/error.ts';
import { QueueError } from '../queue.ts';

/** The port's own error, of the same kind and with the same line. */
export const asQueueError = (error: unknown): unknown =>
  error instanceof AmqpError ? new QueueError(error.kind, error.message, { cause: error.cause }) : error;

/** The same for a publish, which tells a sender that their message was not taken. */
export const accepted = async (work: Promise<void>): Promise<void> => {
  try {
    await work;
  } catch (error) {
    const problem = asQueueError(error);
    if (!(problem instanceof QueueError) || problem.kind === 'inDoubt') throw problem;
    throw new QueueError(problem.kind, `not accepted: ${problem.message}`, { cause: problem.cause });
  }
};

/** Settles as `work` does, with the port's errors. */
export const translated = async <T>(work: Promise<T>): Promise<T> => {
  try {
    return await work;
  } catch (error) {
    throw asQueueError(error);
  }
};
