import type { Scheduler } from '../src/worker/scheduler.ts';
import type { Time } from './time.ts';

/** A simulated process: while it is paused it is late with everything, and once it is dead nothing of it goes on. */
export class Process implements Scheduler {
  readonly name: string;
  readonly pid: number;
  /** Since when it has been running as it should (ms since the epoch). */
  wellSince: number;
  /** Since when it has been stopped (ms since the epoch). */
  pausedSince: number | undefined;
  /** It has joined the workers of the store. */
  isMember = false;
  /** It drains, and will give its lease back. */
  leaving = false;
  readonly #time: Time;
  readonly #onDeath: (() => void)[] = [];
  readonly #missed: (() => void)[] = [];
  #alive = true;

  constructor(time: Time, name: string, pid: number) {
    this.#time = time;
    this.name = name;
    this.pid = pid;
    this.wellSince = time.now;
  }

  get alive(): boolean {
    return this.#alive;
  }

  get paused(): boolean {
    return this.pausedSince !== undefined;
  }

  monotonic(): number {
    return this.#time.elapsed;
  }

  after(ms: number, ring: () => void): () => void {
    let isCancelled = false;
    const cancel = this.#time.in(ms, () => this.#run(() => isCancelled || ring()));
    return () => {
      isCancelled = true;
      cancel();
    };
  }

  soon(ring: () => void): void {
    this.#time.in(0, () => this.#run(ring));
  }

  pause(): void {
    this.pausedSince ??= this.#time.now;
  }

  continue(): void {
    this.pausedSince = undefined;
    this.wellSince = this.#time.now;
    this.#catchUp();
  }

  /** As by SIGKILL. */
  die(): void {
    if (!this.#alive) return;
    this.#alive = false;
    for (const mourn of this.#onDeath) mourn();
  }

  onDeath(mourn: () => void): void {
    this.#onDeath.push(mourn);
  }

  #run(ring: () => void): void {
    if (!this.#alive) return;
    if (this.paused || this.#missed.length > 0) this.#missed.push(ring);
    else ring();
  }

  /** Frames of a connection stay in order: what comes now is not ahead of what was missed. */
  #catchUp(): void {
    this.#time.in(0, () => {
      if (!this.#alive || this.paused) return;
      this.#missed.shift()?.();
      if (this.#missed.length > 0) this.#catchUp();
    });
  }
}
