import { refusal } from '../src/effects/audit.ts';
import { TransientError } from '../src/engine/errors.ts';
import type { RemoteCall } from '../src/engine/definition.ts';
import type { AuditEntry } from '../src/machines/create-todo.ts';
import { pause } from '../src/worker/scheduler.ts';
import type { Process } from './process.ts';
import type { RequestFate, Scenario } from './scenario.ts';
import type { World } from './world.ts';

/** How long a call may take, in ms. */
export const callTimeout = 1000;

/** What a 429 asks for: longer than a run may wait with its message in hand. */
export const retryAfterSeconds = 4;

/** The audit service, at the far end of a network. */
export class Receiver {
  readonly #world: World;
  readonly #fates: RequestFate[];
  readonly #verifies: boolean;

  constructor(world: World, { requests, verifies }: Scenario) {
    this.#world = world;
    this.#fates = [...requests];
    this.#verifies = verifies;
  }

  /** The call as one process makes it. */
  callFrom(process: Process): RemoteCall {
    const perform = this.#performFrom(process);
    return this.#verifies ? { perform, verify: this.#verifyFrom(process) } : { perform };
  }

  #verifyFrom(process: Process): NonNullable<RemoteCall['verify']> {
    return async ({ todo }: AuditEntry) => {
      const { dice, ledger } = this.#world;
      await pause(process, dice.between(0, 20));
      return ledger.count('sendAudit', todo.id) > 0 ? { receipt: { status: 200 } } : undefined;
    };
  }

  #performFrom(process: Process): RemoteCall['perform'] {
    return (entry: AuditEntry, { key }) =>
      new Promise((resolve, reject) => {
        const { time, dice, journal } = this.#world;
        const fate = this.#fates.shift() ?? 'done';
        if (fate !== 'done') journal.note(process.name, `the audit of ${key} will be ${fate}`);
        // Once it is sent it arrives, whether or not its sender lives.
        time.in(dice.between(0, 10), () => {
          if (fate !== 'refused' && typeof fate !== 'number')
            this.#world.ledger.enter({ call: 'sendAudit', run: entry.todo.id, key });
          const delay = fate === 'slow' ? dice.between(callTimeout, 3 * callTimeout) : dice.between(0, 20);
          process.after(delay, () =>
            isAnswer(fate) ? resolve({ receipt: { status: 200 } }) : reject(errorOf(fate)),
          );
        });
      });
  }
}

const isAnswer = (fate: RequestFate): boolean => fate === 'done' || fate === 'slow';

const errorOf = (fate: RequestFate): Error =>
  typeof fate === 'number'
    ? refusal(fate, '', fate === 429 ? String(retryAfterSeconds) : undefined)
    : new TransientError(`the audit service did not answer: ${fate}`);
