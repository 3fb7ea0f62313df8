import { messageOf } from '../src/engine/errors.ts';
import { Crew } from './crew.ts';
import type { Disk } from './disk.ts';
import type { Milestone } from './milestones.ts';
import { People } from './people.ts';
import type { Scenario } from './scenario.ts';
import { strike } from './strike.ts';
import { judge } from './verdict.ts';
import { World } from './world.ts';

export type History = {
  /** One line for each promise that was broken. */
  readonly violations: readonly string[];
  readonly transitions: number;
  readonly runs: readonly { readonly status: string }[];
  readonly reached: ReadonlySet<Milestone>;
  readonly lines: readonly string[];
};

/**
 * How long after the last trouble everything must be final, in ms: giving up takes a minute, a lap another, and a dozen
 * answers that are no use to the probes of a receiver a minute each.
 */
const patienceMs = 900_000;

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
  if (crew.hasBuried()) world.journal.reached.add('buried worker');
  crew.dismiss();
  const { lines, violations, reached } = world.journal;
  const runs = disk.db.all<{ status: string }>('SELECT status FROM runs');
  return { violations, transitions: world.transitions, runs, reached, lines };
};

/** What happens from outside, and when the history is over. */
class Script {
  isSettled = false;
  readonly #world: World;
  readonly #crew: Crew;
  readonly #people: People;
  /** What has to happen before the history may end, and what strikes only if it has not ended by then. */
  readonly #toCome = { surely: 0, perhaps: 0 };
  #deadline = 0;
  #askedAt = -1;
  #isAnyActive = false;

  constructor(world: World, crew: Crew, people: People, { submissions, troubles }: Scenario) {
    this.#world = world;
    this.#crew = crew;
    this.#people = people;
    for (const submission of submissions)
      this.#at(submission.at, 'surely', () => void people.submit(submission));
    const stage = { world, crew, people, last: (ms: number, end: () => void) => this.#last(ms, end) };
    for (const trouble of troubles)
      this.#at(trouble.at, trouble.type === 'retry' ? 'surely' : 'perhaps', () => strike(trouble, stage));
  }

  isOver(): boolean {
    if (this.#toCome.surely > 0 || this.#people.busy > 0) return false;
    if (this.#isQuiet() && this.#settle()) return true;
    if (this.#toCome.perhaps > 0) return false;
    const { now } = this.#world.time;
    this.#deadline ||= now + patienceMs;
    return now > this.#deadline;
  }

  #isQuiet(): boolean {
    return this.#world.post.isIdle() && !this.#anyActive();
  }

  /** Nothing but acks is left: hardly ever need the laps be waited for. */
  #settle(): boolean {
    const { post } = this.#world;
    if (post.isWaiting()) post.endLaps();
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

  #at(ms: number, how: 'surely' | 'perhaps', act: () => void): void {
    this.#toCome[how] += 1;
    this.#world.time.in(ms, () => {
      act();
      this.#toCome[how] -= 1;
    });
  }

  /** Until `ms` have passed, the history is not over. */
  #last(ms: number, end: () => void): void {
    this.#at(ms, 'surely', () => {
      end();
      this.#crew.recover();
    });
  }
}
