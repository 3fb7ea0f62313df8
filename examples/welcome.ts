/**
 * A machine of one's own, whole, in one file: sign a user up, then send a welcome mail.
 *
 *   holdfast worker --machines examples/welcome.ts --audit-url http://localhost:8080/audit
 *   holdfast submit --machines examples/welcome.ts --machine welcome --input '{"email":"ada@example.com"}' --wait
 *
 * In a project of yours, import from 'holdfast' instead.
 */
import { assign, setup } from 'xstate';
import { z } from 'zod';
import {
  call,
  cannotSucceed,
  defaultRetry,
  failedAgain,
  idempotencyKeyHeader,
  PermanentError,
  TransientError,
} from '../src/index.ts';
import type { Definition, Failure, LocalCall, RemoteCall, Start } from '../src/index.ts';

type Input = { email: string };
type User = { id: string; email: string };

const machine = setup({
  types: { input: {} as Start<Input>, context: {} as { user: User; failure: Failure | null } },
  actors: { saveUser: call<void, User>(), sendMail: call<void, User>() },
  actions: {
    forgetFailure: assign({ failure: null }),
    noteFailure: assign(({ context, event }) => ({
      failure: failedAgain(defaultRetry, context.failure, event),
    })),
  },
  guards: { cannotSucceed: ({ context, event }) => cannotSucceed(defaultRetry, context.failure, event) },
  delays: { backoff: ({ context }) => context.failure?.wait ?? 0 },
}).createMachine({
  id: 'welcome',
  version: '1',
  context: ({ input: { id, input } }) => ({ user: { id, email: input.email }, failure: null }),
  on: { cancel: '.cancelled' },
  initial: 'saving',
  states: {
    saving: {
      invoke: { src: 'saveUser', input: ({ context }) => context.user, onDone: 'mailing', onError: 'failed' },
    },
    mailing: {
      invoke: {
        src: 'sendMail',
        input: ({ context }) => context.user,
        onDone: { target: 'done', actions: 'forgetFailure' },
        onError: [
          { guard: 'cannotSucceed', target: 'failed', actions: 'forgetFailure' }, // a retry starts afresh
          { target: 'retryingMail', actions: 'noteFailure' },
        ],
      },
    },
    retryingMail: { after: { backoff: 'mailing' } },
    done: { type: 'final' },
    failed: { type: 'final' },
    cancelled: { type: 'final' },
  },
});

/** Local: written in the transaction that records the transition, so exactly once. */
const saveUser: LocalCall = ({ id, email }: User) => ({
  writes: [
    {
      sql: 'INSERT INTO users (id, email) VALUES (:id, :email) ON CONFLICT (id) DO NOTHING',
      params: { id, email },
    },
  ],
});

/** Remote: at least once, always under the same key. Say which errors are worth a retry. */
const sendMail: RemoteCall = {
  async perform({ email }: User, { key, signal }) {
    const url = process.env['MAIL_URL'];
    if (url === undefined)
      throw new PermanentError('no mail service: set MAIL_URL, then "holdfast retry" this run');
    const response = await fetch(url, {
      method: 'POST',
      signal,
      headers: { 'content-type': 'application/json', 'idempotency-key': idempotencyKeyHeader(key) },
      body: JSON.stringify({ to: email, subject: 'Welcome' }),
    });
    if (!response.ok) throw new TransientError(`the mail service answered HTTP ${response.status}`);
    return { receipt: { status: response.status } };
  },
};

export const welcome: Definition = {
  machine,
  input: z.strictObject({ email: z.email() }),
  local: { saveUser },
  remote: { sendMail },
  tables: ['CREATE TABLE IF NOT EXISTS users (id TEXT PRIMARY KEY, email TEXT NOT NULL) STRICT'],
};
