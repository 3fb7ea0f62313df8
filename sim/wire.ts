import type { Dice } from './dice.ts';
import type { Process } from './process.ts';
import type { Time } from './time.ts';

/** How long a frame is under way, in ms. */
const slowest = 4;

/**
 * One connection of a process to the broker: frames arrive in order, and those under way are lost when it
 * is cut. The process learns of a cut later than the broker does.
 */
export class Wire {
  readonly process: Process;
  readonly #time: Time;
  readonly #dice: Dice;
  readonly #onCut: ((reason: string) => void)[] = [];
  #open = true;
  #there = 0;
  #back = 0;

  constructor(process: Process, time: Time, dice: Dice) {
    this.process = process;
    this.#time = time;
    this.#dice = dice;
    // A process that dies has sent its last frames to the kernel, which may still deliver them.
    process.onDeath(() => this.#time.in(this.#dice.between(0, slowest), () => this.cut('its process died')));
  }

  get open(): boolean {
    return this.#open;
  }

  toBroker(arrive: () => void): void {
    this.#there = this.#next(this.#there);
    this.#time.in(this.#there - this.#time.now, () => this.#open && arrive());
  }

  toProcess(arrive: () => void): void {
    this.#back = this.#next(this.#back);
    this.process.after(this.#back - this.#time.now, () => this.#open && arrive());
  }

  cut(reason: string): void {
    if (!this.#open) return;
    this.#open = false;
    for (const hear of this.#onCut) hear(reason);
  }

  onCut(hear: (reason: string) => void): void {
    this.#onCut.push(hear);
  }

  #next(last: number): number {
    return Math.max(last, this.#time.now + this.#dice.between(0, slowest));
  }
}
