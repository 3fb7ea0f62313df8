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
  isAway = false;
  readonly #fates: RequestFate[];
  /** How many more processes die of a run's audit. */
  readonly #poison = new Map<string, number>();
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

  /** The next `times` processes that make the call for this run die of it. */
  poison(run: string, times: number): void {
    this.#poison.set(run, times);
  }

  wasPoisonous(run: string): boolean {
    return this.#poison.has(run);
  }

  #kills(run: string): boolean {
    const times = this.#poison.get(run) ?? 0;
    if (times > 0) this.#poison.set(run, times - 1);
    return times > 0;
  }

  #verifyFrom(process: Process): NonNullable<RemoteCall['verify']> {
    return async ({ todo }: AuditEntry) => {
      const { dice, ledger, journal } = this.#world;
      await pause(process, dice.between(0, 20));
      if (ledger.count('sendAudit', todo.id) === 0) return undefined;
      journal.reached.add('verified effect');
      return { receipt: { status: 200 } };
    };
  }

  #performFrom(process: Process): RemoteCall['perform'] {
    return (entry: AuditEntry, { key }) =>
      new Promise((resolve, reject) => {
        const { time, dice, journal } = this.#world;
        // In a moment of its own: what is under way in this one would go on in a dead process.
        if (this.#kills(entry.todo.id)) return process.after(dice.between(0, 10), () => process.die());
        const fate = this.isAway ? 'refused' : (this.#fates.shift() ?? 'done');
        if (fate !== 'done') journal.note(process.name, `the audit of ${key} will be ${fate}`);
        // Once it is sent it arrives, whether or not its sender lives.
        return time.in(dice.between(0, 10), () => {
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
