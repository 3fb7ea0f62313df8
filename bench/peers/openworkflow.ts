/** What the two back ends of OpenWorkflow have in common. */
import { OpenWorkflow } from 'openworkflow';
import { alertKey, alertOf, auditKey } from '../effects.ts';
import type { Effects, Todo } from '../effects.ts';
import { forEach, todoOf } from './peer.ts';
import type { Submission, Work } from './peer.ts';

type Backend = ConstructorParameters<typeof OpenWorkflow>[0]['backend'];

export type OpenWorkflowParts = Pick<Effects, 'sendAlert' | 'sendAudit'> & {
  readonly backend: Backend;
  readonly concurrency: number;
  /** Of `submit`. */
  readonly atOnce: number;
  readonly save: (todo: Todo) => Promise<void>;
  readonly count: Work['count'];
  readonly close: () => Promise<void>;
};

export const openWorkflow = ({
  backend,
  concurrency,
  atOnce,
  save,
  sendAlert,
  sendAudit,
  count,
  close,
}: OpenWorkflowParts): Work => {
  const client = new OpenWorkflow({ backend });
  const createTodo = client.defineWorkflow<Submission, undefined>(
    { name: 'create-todo' },
    async ({ input, step }) => {
      const todo = todoOf(input);
      await step.run({ name: 'saveTodo' }, () => save(todo));
      const alert = alertOf(todo);
      await step.run({ name: 'sendAlert' }, () => sendAlert(alert, alertKey(todo.id)));
      await step.run({ name: 'sendAudit' }, () => sendAudit(todo, auditKey(todo.id)));
      return undefined;
    },
  );
  const worker = client.newWorker({ concurrency });
  return {
    submit: (submissions) => forEach(submissions, atOnce, (submission) => createTodo.run(submission)),
    start: () => worker.start(),
    count,
    close: async () => {
      await worker.stop();
      await close();
    },
  };
};
