import { messageOf } from '../src/engine/errors.ts';
import { Crew } from './crew.ts';
import type { Disk } from './disk.ts';
import { People } from './people.ts';
import type { Scenario, Trouble } from './scenario.ts';
import { judge } from './verdict.ts';
import { World } from './world.ts';

export type History = {
  /** One line for each promise that was broken. */
  readonly violations: readonly string[];
  readonly transitions: number;
  readonly runs: readonly { readonly status: string }[];
  readonly lines: readonly string[];
};

/** How long after the last trouble everything must be final, in ms: giving up takes a minute, a lap another. */
const patienceMs = 180_000;

/** Plays a scenario from its first submission until everything is final and acked, and judges what is left. */
export const play = async (scenario: Scenario, disk: Disk): Promise<History> => {
  disk.wipe();
  const world = new World(scenario, disk);
  const crew = new Crew(world, scenario);
  const people = new People(world);
  const script = new Script(world, crew, people, scenario);
  try {
    await world.time.pass(() => script.isOver());
  } catch (error) {
    world.journal.violate(`nobody caught: ${messageOf(error)}`);
  }
  if (!script.isSettled) world.journal.violate('unsettled: messages or runs are left over');
  judge(world, people.accepted);
  crew.dismiss();
  const { lines, violations } = world.journal;
  const runs = disk.db.all<{ status: string }>('SELECT status FROM runs');
  return { violations, transitions: world.transitions, runs, lines };
};

/** What happens from outside, and when the history is over. */
class Script {
  isSettled = false;
  readonly #world: World;
  readonly #crew: Crew;
  readonly #people: People;
  #toCome: number;
  #deadline = 0;
  #askedAt = -1;
  #isAnyActive = false;

  constructor(world: World, crew: Crew, people: People, { submissions, troubles }: Scenario) {
    this.#world = world;
    this.#crew = crew;
    this.#people = people;
    this.#toCome = submissions.length + troubles.length;
    for (const submission of submissions) this.#at(submission.at, () => void people.submit(submission));
    for (const trouble of troubles) this.#at(trouble.at, () => this.#strike(trouble));
  }

  isOver(): boolean {
    const { broker, time } = this.#world;
    if (this.#toCome > 0 || this.#people.busy > 0) return false;
    this.#deadline ||= time.now + patienceMs;
    if (time.now > this.#deadline) return true;
    if (broker.ready.length > 0 || broker.unacked > 0) return false;
    if (this.#anyActive()) return false;
    // Nothing but acks is left: the laps need not be waited for.
    if (broker.waiting.length > 0) broker.endLaps();
    else this.isSettled = true;
    return this.isSettled;
  }

  /** It is asked at every moment, and only a write changes the answer. */
  #anyActive(): boolean {
    const { db, writes } = this.#world.disk;
    if (writes !== this.#askedAt)
      this.#isAnyActive = db.get(`SELECT 1 FROM runs WHERE status = 'active' LIMIT 1`) !== undefined;
    this.#askedAt = writes;
    return this.#isAnyActive;
  }

  #at(ms: number, act: () => void): void {
    this.#world.time.in(ms, () => {
      act();
      this.#toCome -= 1;
    });
  }

  /** Until `ms` have passed, the history is not over. */
  #for(ms: number, end: () => void): void {
    this.#toCome += 1;
    this.#at(ms, () => {
      end();
      this.#crew.recover();
    });
  }

  #strike(trouble: Trouble): void {
    const { broker, disk, journal } = this.#world;
    const crew = this.#crew;
    switch (trouble.type) {
      case 'killed':
        return crew.kill(trouble.worker, trouble.for);
      case 'drained':
        return crew.drain(trouble.worker, trouble.for);
      case 'paused':
        return crew.pause(trouble.worker, trouble.for);
      case 'consumerCut':
        return crew.at(trouble.worker)?.queue.cut();
      case 'publisherCut':
        return crew.at(trouble.worker)?.publisher.cut();
      case 'diesBeforeCommit':
      case 'diesAfterCommit': {
        const member = crew.at(trouble.worker);
        if (!member || member.store.diesAt) return undefined;
        member.store.diesAt = trouble.type === 'diesBeforeCommit' ? 'before' : 'after';
        return crew.replace(trouble.worker, trouble.for);
      }
      case 'brokerKilled':
        broker.crash();
        return this.#for(trouble.for, () => broker.start());
      case 'diskFull':
        journal.note('disk', 'is full');
        disk.isFull = true;
        return this.#for(trouble.for, () => (disk.isFull = false));
      case 'alertsUnbound':
        journal.note('broker', 'nobody is bound to the alerts');
        broker.alertsBound = false;
        return this.#for(trouble.for, () => (broker.alertsBound = true));
      case 'consumerCancelled':
        return broker.cancelConsumer();
      case 'ackTimeout':
        return broker.timeOut();
      case 'duplicated':
        return broker.duplicate();
      case 'shuffled':
        return broker.shuffle();
      case 'cancel':
        return void this.#people.cancel(trouble.key);
      case 'retry':
        return void this.#people.retry(trouble.key);
    }
  }
}
