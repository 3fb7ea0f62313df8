import * as restate from '@restatedev/restate-sdk';
import { alertKey, alertOf, auditKey } from '../effects.ts';
import { todoOf } from './peer.ts';
import type { Peer, Submission } from './peer.ts';
import { openRestate, restateDefaults, restateSources } from './restate-service.ts';

export const peer: Peer = {
  title: 'Restate',
  kind: 'durable steps',
  packages: ['@restatedev/restate-sdk', '@restatedev/restate-server'],
  server: 'restate',
  durability: "Restate's log, RocksDB with fsync; the todo is state of a virtual object",
  settings: restateDefaults,
  sources: restateSources,
  open: async ({ sendAlert, sendAudit, ...site }) => {
    const service = restate.object({
      name: 'todo',
      handlers: {
        create: async (context: restate.ObjectContext, submission: Submission): Promise<void> => {
          const todo = todoOf(submission);
          context.set('todo', todo);
          const alert = alertOf(todo);
          await context.run('sendAlert', () => sendAlert(alert, alertKey(todo.id)));
          await context.run('sendAudit', () => sendAudit(todo, auditKey(todo.id)));
        },
      },
    });
    return openRestate({
      ...site,
      service,
      handler: 'create',
      bodyOf: (submission) => submission,
      saved: `SELECT count(*) AS n FROM state WHERE service_name = 'todo' AND key = 'todo'`,
      finished: `SELECT count(*) AS n FROM sys_invocation WHERE target_service_name = 'todo' AND status = 'completed' AND completion_result = 'success'`,
    });
  },
};
