import { assign, setup } from 'xstate';
import { z } from 'zod';
import { call } from '../engine/definition.ts';
import type { Definition, LocalCall, RemoteCall, Start } from '../engine/definition.ts';
import { cannotSucceed, defaultRetry, failedAgain } from '../engine/retry.ts';
import type { Failure, RetryPolicy } from '../engine/retry.ts';

export const todoInput = z.strictObject({
  title: z
    .string()
    .max(500, 'is longer than 500 characters')
    .refine((title) => title.trim() !== '', 'is empty'),
  notes: z.string().optional(),
});
export type TodoInput = z.infer<typeof todoInput>;

export type Todo = { id: string; title: string; notes: string | null; createdAt: string };

/** What the world is told of a new todo. */
export type Alert = {
  type: 'todo.added';
  subject: string;
  time: string;
  data: { id: string; title: string };
};

/** What the auditors are told of it. */
export type AuditEntry = { action: 'todo.created'; at: string; todo: Todo };

type Context = { todo: Todo; alert: Alert | null; failure: Failure | null };

/** Create a todo: save it, make its alert, send the alert, send the audit entry. */
const chart = (retry: RetryPolicy) =>
  setup({
    types: { input: {} as Start<TodoInput>, context: {} as Context },
    actors: {
      saveTodo: call<void, Todo>(),
      makeAlert: call<Alert, Todo>(),
      sendAlert: call<void, Alert>(),
      sendAudit: call<void, AuditEntry>(),
    },
    actions: {
      noteFailure: assign(({ context, event }) => ({ failure: failedAgain(retry, context.failure, event) })),
      forgetFailure: assign({ failure: null }),
    },
    guards: { cannotSucceed: ({ context, event }) => cannotSucceed(retry, context.failure, event) },
    delays: { backoff: ({ context }) => context.failure?.wait ?? 0 },
  }).createMachine({
    id: 'create-todo',
    version: '1',
    context: ({ input: { id, at, input } }) => ({
      todo: { id, title: input.title, notes: input.notes ?? null, createdAt: new Date(at).toISOString() },
      alert: null,
      failure: null,
    }),
    on: { cancel: '.cancelled' },
    initial: 'saving',
    states: {
      saving: {
        invoke: {
          src: 'saveTodo',
          input: ({ context }) => context.todo,
          onDone: 'makingAlert',
          onError: 'failed',
        },
      },
      makingAlert: {
        invoke: {
          src: 'makeAlert',
          input: ({ context }) => context.todo,
          onDone: { target: 'sendingAlert', actions: assign({ alert: ({ event }) => event.output }) },
          onError: 'failed',
        },
      },
      sendingAlert: {
        invoke: {
          src: 'sendAlert',
          input: ({ context }) => context.alert!,
          onDone: { target: 'sendingAudit', actions: 'forgetFailure' },
          onError: [
            { guard: 'cannotSucceed', target: 'failed', actions: 'forgetFailure' },
            { target: 'retryingAlert', actions: 'noteFailure' },
          ],
        },
      },
      retryingAlert: { after: { backoff: 'sendingAlert' } },
      sendingAudit: {
        invoke: {
          src: 'sendAudit',
          input: ({ context }) => ({
            action: 'todo.created',
            at: context.todo.createdAt,
            todo: context.todo,
          }),
          onDone: { target: 'done', actions: 'forgetFailure' },
          onError: [
            { guard: 'cannotSucceed', target: 'failed', actions: 'forgetFailure' },
            { target: 'retryingAudit', actions: 'noteFailure' },
          ],
        },
      },
      retryingAudit: { after: { backoff: 'sendingAudit' } },
      done: { type: 'final' },
      failed: { type: 'final' },
      cancelled: { type: 'final' },
    },
  });

/** Saving again what is saved changes nothing: `retry --from saving` is safe. */
const saveTodo: LocalCall = ({ id, title, notes, createdAt }: Todo) => ({
  writes: [
    {
      sql: `INSERT INTO todos (id, title, notes, created_at) VALUES (?, ?, ?, ?)
            ON CONFLICT (id) DO NOTHING`,
      params: [id, title, notes, createdAt],
    },
  ],
});

const makeAlert: LocalCall = ({ id, title }: Todo, { now }) => ({
  output: {
    type: 'todo.added',
    subject: id,
    time: new Date(now).toISOString(),
    data: { id, title },
  } satisfies Alert,
});

/** The built-in machine. The two remote calls come from outside: a chart does no I/O. */
export const createTodo = (
  remote: { sendAlert: RemoteCall; sendAudit: RemoteCall },
  retry: RetryPolicy = defaultRetry,
): Definition => ({
  machine: chart(retry),
  input: todoInput,
  local: { saveTodo, makeAlert },
  remote,
  tables: [
    `CREATE TABLE IF NOT EXISTS todos (
       id TEXT PRIMARY KEY, title TEXT NOT NULL, notes TEXT, created_at TEXT NOT NULL
     ) STRICT, WITHOUT ROWID`,
  ],
});
