import type { Milestone } from './milestones.ts';
import type { Time } from './time.ts';

/** What happened, line by line. The same seed writes the same journal, to the byte. */
export class Journal {
  readonly lines: string[] = [];
  readonly violations: string[] = [];
  readonly reached = new Set<Milestone>();
  readonly #time: Time;

  constructor(time: Time) {
    this.#time = time;
  }

  note(who: string, what: string, milestone?: Milestone): void {
    if (milestone) this.reached.add(milestone);
    this.lines.push(`${this.#time.elapsed}\t${who}\t${what}`);
  }

  /** The history goes on: what follows from a broken promise helps to see why it was broken. */
  violate(what: string): void {
    this.violations.push(what);
    this.note('VIOLATED', what);
  }
}
