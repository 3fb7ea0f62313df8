/**
 * How many calls may run at once after an outage: one, and one more for each that succeeds, until one fails; from
 * then on the half, growing by one a round. A receiver that has just come back is not knocked over by its backlog.
 * Source: slow start and congestion avoidance, RFC 5681.
 */
export class Ramp {
  readonly #limit: number;
  #allowance: number;
  #threshold = Infinity;

  constructor(limit: number) {
    this.#limit = limit;
    this.#allowance = limit;
  }

  get allowance(): number {
    return Math.floor(this.#allowance);
  }

  restart(): void {
    this.#allowance = 1;
    this.#threshold = Infinity;
  }

  succeeded(): void {
    const more = this.#allowance < this.#threshold ? 1 : 1 / this.#allowance;
    this.#allowance = Math.min(this.#limit, this.#allowance + more);
  }

  /** Once the limit was reached, the ramp is over: single failures are everyday life. */
  failed(): void {
    if (this.#allowance === this.#limit) return;
    this.#threshold = Math.max(1, this.#allowance / 2);
    this.#allowance = this.#threshold;
  }
}
