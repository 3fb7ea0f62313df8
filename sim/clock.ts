import type { Time } from './time.ts';

/** What the clock on the wall of the host says. It may be set back; time goes on. */
export class WallClock {
  readonly #time: Time;
  /** When it was set back last (ms since the epoch, as time really goes). */
  setAt = 0;
  #behind = 0;
  #behindBefore = 0;

  constructor(time: Time) {
    this.#time = time;
  }

  get now(): number {
    return this.#time.now - this.#behind;
  }

  get wasSetBack(): boolean {
    return this.#behind > 0;
  }

  setBack(ms: number): void {
    this.setAt = this.#time.now;
    this.#behindBefore = this.#behind;
    this.#behind += ms;
  }

  /** When it really was, if it said so a moment ago. */
  timeOf(said: number): number {
    const at = said + this.#behind;
    return at <= this.#time.now ? at : said + this.#behindBefore;
  }
}
