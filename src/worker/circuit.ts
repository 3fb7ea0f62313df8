import { circuitBreaker, ConsecutiveBreaker, handleWhenResult } from 'cockatiel';
import type { CallResult, Clock } from '../engine/run.ts';
import type { Log } from './log.ts';
import { Ramp } from './ramp.ts';
import type { Scheduler } from './scheduler.ts';

/** Calls of so many runs have to fail in a row: one run that fails again and again says little of the receiver. */
const failuresInARow = 5;

/** The pauses between the probes of a receiver that is away: from `base`, doubling, to `cap`. In ms. */
export type Probing = { readonly base: number; readonly cap: number };

export type CircuitOptions = {
  readonly call: { readonly machine: string; readonly call: string };
  /** How many calls may run at once while all is well. */
  readonly limit: number;
  readonly probing: Probing;
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  readonly log: Log;
  /** A call may begin that could not before. */
  readonly onRoom: () => void;
};

/** A receiver that is away: since when, what it said last, and when it is tried again (ms since the epoch). */
export type Away = { readonly since: number; readonly error: string; readonly nextProbeAt: number };

/** What a call holds while it runs. Calls that began before the receiver went away, or came back, are of another era. */
export type Ticket = { readonly era: number; readonly cuts: number; readonly isProbe: boolean };

/**
 * Says whether calls of one kind may begin. When the receiver is away, none may but a probe at a time; when it is
 * back, few may at first. A circuit breaker, in the words of "Release It!".
 */
export class Circuit {
  readonly #options: CircuitOptions;
  // Its clock may be set back, so it is asked for verdicts only: when to probe is said here.
  readonly #breaker = circuitBreaker(
    handleWhenResult((result) => isAwayResult(result as CallResult)),
    { breaker: new ConsecutiveBreaker(failuresInARow), halfOpenAfter: -Infinity },
  );
  readonly #ramp: Ramp;
  readonly #failing = new Set<string>();
  #away: Away | undefined;
  #probes = 0;
  #mayProbe = false;
  #era = 0;
  #running = 0;
  #isClosed = false;
  #cancelProbe = () => {};

  constructor(options: CircuitOptions) {
    this.#options = options;
    this.#ramp = new Ramp(options.limit);
    this.#breaker.onBreak((reason) => 'value' in reason && this.#isGone(reason.value as AwayResult));
    this.#breaker.onReset(() => this.#isBack());
  }

  get away(): Away | undefined {
    return this.#away;
  }

  get admits(): boolean {
    return this.#away ? this.#mayProbe : this.#running < this.#ramp.allowance;
  }

  /** Only while it `admits`. */
  begin(): Ticket {
    this.#running += 1;
    this.#mayProbe = false;
    return { era: this.#era, cuts: this.#ramp.cuts, isProbe: this.#away !== undefined };
  }

  /** `result` is nothing when the call was given up: that says nothing of the receiver. */
  async end(ticket: Ticket, key: string, result: CallResult | undefined): Promise<void> {
    if (ticket.era !== this.#era) return;
    this.#running -= 1;
    if (ticket.isProbe) await this.#judgeProbe(result);
    else if (result && !this.#away) await this.#judge(ticket, key, result);
  }

  /** No more probes. */
  close(): void {
    this.#isClosed = true;
    this.#cancelProbe();
  }

  async #judge({ cuts }: Ticket, key: string, result: CallResult): Promise<void> {
    if (!isAwayResult(result)) {
      this.#ramp.succeeded();
      if (this.#failing.size === 0) return;
      this.#failing.clear();
    } else {
      if (!this.#ramp.failed(cuts) || this.#failing.has(key)) return;
      this.#failing.add(key);
    }
    await this.#breaker.execute(() => result);
  }

  async #judgeProbe(result: CallResult | undefined): Promise<void> {
    if (!result) return this.#probe();
    await this.#breaker.execute(() => result);
  }

  #isGone(result: AwayResult): void {
    const { call, log, clock } = this.#options;
    this.#probes = this.#away ? this.#probes + 1 : 0;
    if (!this.#away) {
      this.#nextEra();
      log.warn(
        { ...call, error: result.message },
        'no call gets through to the receiver: they wait, and one at a time tries it',
      );
    }
    this.#waitForProbe(result, this.#away?.since ?? clock.now());
  }

  #isBack(): void {
    const { call, log, clock } = this.#options;
    const { since } = this.#away!;
    this.#nextEra();
    this.#away = undefined;
    this.#failing.clear();
    this.#ramp.restart();
    log.info(
      { ...call, awayMs: clock.now() - since, probes: this.#probes + 1 },
      'calls get through to the receiver again: they go on, few at first',
    );
  }

  #nextEra(): void {
    this.#era += 1;
    this.#running = 0;
  }

  #waitForProbe({ message, retryAfter = 0 }: AwayResult, since: number): void {
    const { clock, probing, scheduler } = this.#options;
    const ceiling = Math.min(probing.cap, probing.base * 2 ** Math.min(this.#probes, 50));
    // Workers that lost a receiver together do not come back together.
    const pause = Math.max(ceiling * (0.5 + clock.random() / 2), Math.min(retryAfter, probing.cap));
    this.#away = { since, error: message, nextProbeAt: clock.now() + Math.ceil(pause) };
    // A call that ends after that must not keep the process until a probe that nobody makes.
    if (!this.#isClosed) this.#cancelProbe = scheduler.after(pause, () => this.#probe());
  }

  #probe(): void {
    this.#mayProbe = true;
    this.#options.onRoom();
  }
}

type AwayResult = Extract<CallResult, { ok: false }>;

/** A permanent error is an answer: the receiver is there. */
const isAwayResult = (result: CallResult): result is AwayResult => !result.ok && !result.permanent;
