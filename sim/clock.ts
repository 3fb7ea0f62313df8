import type { Time } from './time.ts';

/** What the clock on the wall of the host says. It may be set back; time goes on. */
export class WallClock {
  readonly #time: Time;
  /** When it was set back last (ms since the epoch, as time really goes). */
  setAt = 0;
  /** How far it has been behind, in ms; as it is now comes last. */
  readonly #behind = [0];

  constructor(time: Time) {
    this.#time = time;
  }

  get now(): number {
    return this.#time.now - this.#behind.at(-1)!;
  }

  get wasSetBack(): boolean {
    return this.#behind.length > 1;
  }

  setBack(ms: number): void {
    this.setAt = this.#time.now;
    this.#behind.push(this.#behind.at(-1)! + ms);
  }

  /** When it really was, if it said so a moment ago. */
  timeOf(said: number): number {
    return said + this.#behind.findLast((behind) => said + behind <= this.#time.now)!;
  }
}
