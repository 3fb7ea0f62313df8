import { xstate } from '@restatedev/xstate';
import { fromPromise } from '@restatedev/xstate/promise';
import { setup } from 'xstate';
import type { Alert } from '../../src/effects/alert.ts';
import { alertKey, alertOf, auditKey } from '../effects.ts';
import type { Effects, Todo } from '../effects.ts';
import { todoOf } from './peer.ts';
import type { Peer, Submission } from './peer.ts';
import { openRestate, restateDefaults, restateSources } from './restate-service.ts';

export const peer: Peer = {
  title: '@restatedev/xstate on Restate',
  kind: 'durable steps',
  packages: ['@restatedev/xstate', 'xstate', '@restatedev/restate-sdk', '@restatedev/restate-server'],
  server: 'restate',
  durability: "Restate's log, RocksDB with fsync; the todo is in the machine's snapshot",
  settings: restateDefaults,
  sources: ['https://github.com/restatedev/xstate', ...restateSources],
  open: async ({ sendAlert, sendAudit, ...site }) =>
    openRestate({
      ...site,
      service: xstate('todo', machineOf({ sendAlert, sendAudit })),
      handler: 'create',
      bodyOf: (input) => ({ input }),
      saved: `SELECT count(*) AS n FROM state WHERE service_name = 'todo' AND key = 'snapshot'`,
      finished: `SELECT count(*) AS n FROM state WHERE service_name = 'todo' AND key = 'snapshot' AND json_get_str(value_utf8, 'status') = 'done'`,
    }),
};

/** Creating the machine saves the todo: its snapshot holds it. So two of the four steps need no state of their own. */
const machineOf = ({ sendAlert, sendAudit }: Effects) =>
  setup({
    types: { input: {} as Submission, context: {} as { todo: Todo; alert: Alert } },
    actors: {
      sendAlert: fromPromise<void, { alert: Alert; key: string }>(({ input: { alert, key }, ctx }) =>
        ctx.run('sendAlert', () => sendAlert(alert, key)),
      ),
      sendAudit: fromPromise<void, { todo: Todo; key: string }>(({ input: { todo, key }, ctx }) =>
        ctx.run('sendAudit', () => sendAudit(todo, key)),
      ),
    },
  }).createMachine({
    id: 'create-todo',
    context: ({ input }) => ({ todo: todoOf(input), alert: alertOf(todoOf(input)) }),
    initial: 'sendingAlert',
    states: {
      sendingAlert: {
        invoke: {
          src: 'sendAlert',
          input: ({ context: { alert } }) => ({ alert, key: alertKey(alert.subject) }),
          onDone: 'sendingAudit',
        },
      },
      sendingAudit: {
        invoke: {
          src: 'sendAudit',
          input: ({ context: { todo } }) => ({ todo, key: auditKey(todo.id) }),
          onDone: 'done',
        },
      },
      done: { type: 'final' },
    },
  });
