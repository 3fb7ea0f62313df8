import { randomUUIDv7 } from 'node:crypto';
import type { Database } from '../../sqlite/database.ts';
import type { DeadLetter, Message } from '../queue.ts';

/** Inside a transaction. */
export const keepDeadLetter = (
  db: Database,
  { id, machine, body }: Message,
  error: string,
  now: number,
): void => {
  db.run(
    `INSERT INTO dead_letters (id, at, error, message_id, machine, body) VALUES (:id, :now, :error, :messageId, :machine, :body)`,
    { id: randomUUIDv7(), now, error, messageId: id ?? null, machine: machine ?? null, body },
  );
};

export type DeadLetterRow = {
  id: string;
  at: number;
  error: string;
  message_id: string | null;
  machine: string | null;
  body: Buffer;
};

export const toDeadLetter = ({ id, at, error, message_id, machine, body }: DeadLetterRow): DeadLetter => ({
  id,
  at,
  error,
  message: { id: message_id ?? undefined, machine: machine ?? undefined, body },
});
