/**
 * How many calls may run at once after an outage: one, and one more for each that succeeds, until one fails; from
 * then on the half, growing by one a round. A receiver that has just come back is not knocked over by its backlog.
 * Source: slow start and congestion avoidance, RFC 5681.
 */
export class Ramp {
  readonly #limit: number;
  #allowance: number;
  #threshold = Infinity;
  #cuts = 0;

  constructor(limit: number) {
    this.#limit = limit;
    this.#allowance = limit;
  }

  get allowance(): number {
    return Math.floor(this.#allowance);
  }

  /** How often it was cut: what a call notes when it begins. */
  get cuts(): number {
    return this.#cuts;
  }

  restart(): void {
    this.#allowance = 1;
    this.#threshold = Infinity;
  }

  succeeded(): void {
    const more = this.#allowance < this.#threshold ? 1 : 1 / this.#allowance;
    this.#allowance = Math.min(this.#limit, this.#allowance + more);
  }

  /**
   * Calls that were under way together fail together, and are one piece of news: of those that began before the
   * last cut, no more is learnt. Returns whether it was news. Once the limit was reached, the ramp is over.
   */
  failed(cutsAtBegin: number): boolean {
    if (this.#allowance === this.#limit) return true;
    if (cutsAtBegin !== this.#cuts) return false;
    this.#cuts += 1;
    this.#threshold = Math.max(1, this.#allowance / 2);
    this.#allowance = this.#threshold;
    return true;
  }
}
