import { messageOf, shortageOf } from '../engine/errors.ts';
import { tlsProblem } from './tls.ts';

/**
 * - `unavailable`: the broker did not take it, and may later.
 * - `refused`: the broker will not take it until a person changes something.
 * - `inDoubt`: it was sent and not confirmed.
 */
export type AmqpErrorKind = 'unavailable' | 'refused' | 'inDoubt';

/** Its message is one line, says what to do next, and shows no credentials. */
export class AmqpError extends Error {
  override readonly name = 'AmqpError';
  readonly kind: AmqpErrorKind;

  constructor(kind: AmqpErrorKind, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.kind = kind;
  }
}

type Refusal = {
  when: (code: unknown, text: string) => boolean;
  says: (text: string, where: string) => string;
};

const quorumIsOff = /rabbit_quorum_queue.*feature flag is disabled/;
const accessRefused = 403;
const notFound = 404;
const preconditionFailed = 406;

// amqplib reports a handshake that the broker ends as a bare text: there is no code to go by.
const refusals: Refusal[] = [
  {
    when: (_, text) => text.startsWith('Handshake terminated by server: 403'),
    says: (_, where) =>
      `RabbitMQ at ${where} refuses the user name or the password: correct them in the queue's URL`,
  },
  {
    when: (_, text) => text.startsWith('Expected ConnectionOpenOk; got <ConnectionClose'),
    says: (_, where) =>
      `RabbitMQ at ${where} has no such virtual host, or this user may not enter it: correct the URL's path, or create the host and grant access`,
  },
  {
    when: (code) => code === preconditionFailed,
    says: (text, where) =>
      `${where} has a queue or exchange of that name with other settings (${text}): use the same lap everywhere, delete it once it is empty, or choose another prefix`,
  },
  {
    when: (code) => code === accessRefused,
    says: (text, where) =>
      `the user may not do this at ${where} (${text}): grant the permission, or use another user`,
  },
  {
    when: (code) => code === notFound,
    says: (text, where) =>
      `something is missing at ${where} (${text}): connect once as a user who may declare it, or choose another prefix`,
  },
];

/** Sorts what amqplib reports while it connects or performs an operation. `where` has no credentials. */
export const toAmqpError = (error: unknown, where: string): AmqpError => {
  if (error instanceof AmqpError) return error;
  const code = codeOf(error);
  const text = textOf(error);
  const refusal =
    tlsProblem(code, error, text, where) ?? refusals.find(({ when }) => when(code, text))?.says(text, where);
  if (refusal !== undefined) return new AmqpError('refused', refusal, { cause: error });
  const shortage = shortageOf(error);
  const unreachable =
    shortage === undefined
      ? `cannot be reached (${text}): see that it runs, then try again`
      : `was not asked: ${shortage}`;
  return new AmqpError('unavailable', `RabbitMQ at ${where} ${unreachable}`, { cause: error });
};

/** The broker's own words where there are some, on one line, without the name of the user. */
export const textOf = (error: unknown): string => {
  const text = messageOf(error).replaceAll(/\s+/g, ' ').trim();
  const [, said] =
    /^(?:Operation failed|Channel closed).*with message "(?:[A-Z_]+ - )?(.*)"$/.exec(text) ?? [];
  return (said ?? text).replace(/ for user '[^']*'/, '');
};

export const hasOtherSettings = (error: unknown): boolean => codeOf(error) === preconditionFailed;

/** An old cluster that was upgraded may have them switched off: then it closes the connection, with 541. */
export const lacksQuorumQueues = (error: unknown): boolean => quorumIsOff.test(messageOf(error));

export const isAccessRefused = (error: unknown): boolean => codeOf(error) === accessRefused;

/** True if the broker closed the channel because of what was published, so that it was not accepted. */
export const isRejection = (error: unknown): boolean => isAccessRefused(error) || codeOf(error) === notFound;

/** A reply code of AMQP, or the name that Node gives to an error of the system or of TLS. */
const codeOf = (error: unknown): unknown =>
  error instanceof Error && 'code' in error ? error.code : undefined;
