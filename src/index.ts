/**
 * The face of the library. For a machine of your own: `call`, `Definition`, the retry policy and the errors.
 * For a program of your own: the ports, their adapters and the worker.
 * For whoever receives alerts: a guard against repeats, and a wait for what they tell of.
 */
export { call } from './engine/definition.ts';
export type { Definition, LocalCall, RemoteCall, Start } from './engine/definition.ts';
export { PermanentError, TransientError } from './engine/errors.ts';
export { MachineError } from './engine/machine.ts';
export { cannotSucceed, defaultRetry, failedAgain } from './engine/retry.ts';
export type { Failure, RetryPolicy } from './engine/retry.ts';
export type { Receipt, Run, Status, Transition, Write } from './engine/run.ts';

export { createTodo } from './machines/create-todo.ts';
export type { Alert, AuditEntry, Todo, TodoInput } from './machines/create-todo.ts';
export { createRegistry } from './machines/registry.ts';
export type { Registry } from './machines/registry.ts';

export { openDatabase } from './sqlite/database.ts';
export { DatabaseError } from './sqlite/errors.ts';
export { SqliteStore } from './store/sqlite/sqlite-store.ts';
export type { Archive, Store, WorkerStore } from './store/store.ts';

export { openAmqp } from './queue/amqp/open.ts';
export type { Amqp, AmqpOptions } from './queue/amqp/open.ts';
export { EmbeddedQueue } from './queue/embedded/embedded-queue.ts';
export { QueueError } from './queue/queue.ts';
export type { Consumer, DeadLetter, Delivery, Queue, Submission } from './queue/queue.ts';

export { sendAlertByAmqp } from './effects/alert-amqp.ts';
export { sendAlertToTable } from './effects/alert-embedded.ts';
export { auditOverHttp, idempotencyKeyHeader } from './effects/audit.ts';

export { Worker } from './worker/worker.ts';
export type { WorkerOptions } from './worker/worker.ts';
export type { Log } from './worker/log.ts';

export { DedupeGuard } from './receiver/dedupe.ts';
export type { Once } from './receiver/dedupe.ts';
export { verifyAfterPublish } from './receiver/verify.ts';
export type { VerifyOptions } from './receiver/verify.ts';
