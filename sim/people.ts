import { advance, redrive } from '../src/engine/interpreter.ts';
import { isFinal } from '../src/engine/run.ts';
import type { Run, Step } from '../src/engine/run.ts';
import { SqliteStore } from '../src/store/sqlite/sqlite-store.ts';
import { pause } from '../src/worker/scheduler.ts';
import { machine } from './crew.ts';
import type { Milestone } from './milestones.ts';
import { ProcessDisk } from './process-disk.ts';
import { Process } from './process.ts';
import type { Submission, SubmissionKind } from './scenario.ts';
import type { World } from './world.ts';

/** How often `submit` is typed, and how long a person waits in between, in ms. */
const tries = 3;
const betweenMs = 500;

export type Accepted = { readonly id: string; readonly kind: SubmissionKind; readonly body: string };

export const idOf = (key: number): string => `r${key}`;

/** Who submits, cancels and retries. They do not die. */
export class People {
  readonly accepted: Accepted[] = [];
  /** Submissions that are being made. */
  busy = 0;
  readonly #world: World;
  readonly #process: Process;
  readonly #store: SqliteStore;

  constructor(world: World) {
    this.#world = world;
    this.#process = new Process(world.time, 'person', 0);
    this.#store = new SqliteStore(new ProcessDisk(world, this.#process), () => world.clock.now);
  }

  async submit({ key, kind }: Submission): Promise<void> {
    const id = idOf(key);
    const body = bodies[kind];
    this.busy += 1;
    for (let attempt = 1; attempt <= tries; attempt++) {
      if (!(await this.#isConfirmed(id, body))) continue;
      this.accepted.push({ id, kind, body });
      this.#note(`${kind} ${id} is accepted`);
      break;
    }
    this.busy -= 1;
  }

  cancel(key: number): Promise<void> {
    return this.#amend(idOf(key), 'cancel', (run) =>
      isFinal(run) ? undefined : advance(machine, run, { type: 'cancelled' }, this.#clock),
    );
  }

  retry(key: number): Promise<void> {
    return this.#amend(idOf(key), 'retry', (run) =>
      run.status === 'failed' && machine.steps.includes(run.failedIn ?? '')
        ? redrive(machine, run, this.#clock)
        : undefined,
    );
  }

  async #isConfirmed(id: string, body: string): Promise<boolean> {
    try {
      await this.#world.post.submit({ id, machine: 'create-todo', body: Buffer.from(body) });
      return true;
    } catch {
      await pause(this.#process, betweenMs);
      return false;
    }
  }

  async #amend(id: string, what: 'cancel' | 'retry', stepOf: (run: Run) => Step | undefined): Promise<void> {
    const run = await this.#store.get(id);
    const step = run && stepOf(run);
    if (!step) return;
    this.busy += 1;
    const outcome = await this.#store.amend({ ...step, expected: run.seq }).then(
      ({ type }) => type,
      () => 'not accepted',
    );
    this.#note(`${what}s ${id} in ${run.state}: ${outcome}`, outcome === 'committed' ? what : undefined);
    this.busy -= 1;
  }

  /** Publishes the dead letter again that came first. */
  async requeue(): Promise<void> {
    const { disk, tables } = this.#world;
    const [letter] = disk.db.all<{ id: string; run: string }>(
      'SELECT id, message_id AS run FROM dead_letters ORDER BY rowid LIMIT 1',
    );
    if (!letter || !tables) return;
    this.busy += 1;
    const done = tables.asPerson((queue) => queue.deadLetters.requeue(letter.id));
    this.#note(`requeues ${letter.run}: ${await done.catch(() => 'not accepted')}`);
    this.busy -= 1;
  }

  get #clock() {
    return { now: () => this.#world.clock.now, random: () => this.#world.dice.roll() };
  }

  #note(what: string, milestone?: Milestone): void {
    this.#world.journal.note('person', what, milestone);
  }
}

const bodies: Record<SubmissionKind, string> = {
  todo: '{"title":"Buy milk"}',
  other: '{"title":"Buy bread"}',
  broken: '{"title":',
};
