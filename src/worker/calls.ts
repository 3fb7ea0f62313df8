import type { RemoteCall } from '../engine/definition.ts';
import type { Call, CallResult, Clock, Incident } from '../engine/run.ts';
import type { Outage } from '../store/store.ts';
import { Attempt } from './attempt.ts';
import { Circuit } from './circuit.ts';
import type { Probing } from './circuit.ts';
import type { Log } from './log.ts';
import type { Scheduler } from './scheduler.ts';

type Answer = Extract<Incident, { type: 'answered' }>;

/** A call that a run wants, and all that it takes to make it. */
export type WantedCall = {
  /** The id of the run's machine: each machine's calls are a kind of their own. */
  readonly machine: string;
  readonly remote: RemoteCall;
  readonly call: Omit<Call, 'input'>;
  /** Reads what it is called with. A hundred thousand may wait, and most of their weight would be that. */
  readonly input: () => unknown;
  /** It may have taken effect before. */
  readonly inDoubt: boolean;
  /** Called once, later, unless the call is cancelled first. */
  readonly answer: (answer: Answer) => void;
};

/** A call that was started or waits for its place. */
export type OngoingCall = {
  readonly id: string;
  readonly attempt: number;
  hasBegun(): boolean;
  /** It has not begun, because its receiver is away. */
  isHeldUp(): boolean;
  cancel(): void;
};

export type CallsOptions = {
  /** How many calls of one kind run at once. */
  readonly concurrency: number;
  /** How long one attempt may take, in ms. */
  readonly callTimeout: number;
  readonly probing: Probing;
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  readonly log: Log;
};

type Kind = {
  readonly machine: string;
  readonly call: string;
  readonly circuit: Circuit;
  /** Those that have not begun, in the order in which they came. */
  readonly line: Set<Place>;
  /** Goes through the line, once: to begin at its front for each call is to pass the gaps of all who left before. */
  walk: Iterator<Place>;
  running: number;
};

/**
 * Performs remote calls: each attempt bounded in time, and each kind of call bounded in number on its own,
 * so that a receiver that hangs holds up its own kind only (a bulkhead, in the words of "Release It!"), and one that
 * is away is spared.
 */
export class Calls {
  readonly #options: CallsOptions;
  readonly #kinds = new Map<string, Kind>();
  readonly #ended = Promise.withResolvers<void>();
  #running = 0;
  #closed = false;

  constructor(options: CallsOptions) {
    this.#options = options;
  }

  start(wanted: WantedCall): OngoingCall {
    const kind = this.#kind(wanted);
    const place = new Place(wanted, kind);
    kind.line.add(place);
    this.#fill(kind);
    return place;
  }

  /** The receivers that are away, and how many calls wait for each. */
  outages(): Outage[] {
    return [...this.#kinds.values()].flatMap(({ machine, call, circuit: { away }, line }) =>
      away ? [{ machine, call, ...away, waiting: line.size }] : [],
    );
  }

  /** Begins no more calls; resolves when those that run have ended. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const { circuit } of this.#kinds.values()) circuit.close();
    if (this.#running > 0) await this.#ended.promise;
  }

  #kind({ machine, call: { src } }: WantedCall): Kind {
    const name = `${machine} ${src}`;
    const known = this.#kinds.get(name);
    if (known) return known;
    const names = { machine, call: src };
    const circuit = new Circuit({
      ...this.#options,
      limit: this.#options.concurrency,
      call: names,
      onRoom: () => this.#fill(kind),
    });
    const line = new Set<Place>();
    const kind: Kind = { ...names, circuit, line, walk: line.values(), running: 0 };
    this.#kinds.set(name, kind);
    return kind;
  }

  #fill(kind: Kind): void {
    while (!this.#closed && kind.running < this.#options.concurrency && kind.circuit.admits) {
      const place = takeFirst(kind);
      if (!place) return;
      kind.running += 1;
      this.#running += 1;
      void this.#pass(kind, place);
    }
  }

  async #pass(kind: Kind, place: Place): Promise<void> {
    try {
      const ticket = kind.circuit.begin();
      const result = await place.perform(this.#options);
      await kind.circuit.end(ticket, place.key, result);
    } finally {
      kind.running -= 1;
      this.#running -= 1;
      this.#fill(kind);
      if (this.#closed && this.#running === 0) this.#ended.resolve();
    }
  }
}

const takeFirst = (kind: Kind): Place | undefined => {
  if (kind.line.size === 0) return undefined;
  let next = kind.walk.next();
  if (next.done) next = (kind.walk = kind.line.values()).next(); // it had come to the end before these came
  if (next.done) return undefined;
  kind.line.delete(next.value);
  return next.value;
};

class Place implements OngoingCall {
  readonly #wanted: WantedCall;
  readonly #kind: Kind;
  #isCancelled = false;
  #attempt: Attempt | undefined;

  constructor(wanted: WantedCall, kind: Kind) {
    this.#wanted = wanted;
    this.#kind = kind;
  }

  get key(): string {
    return this.#wanted.call.key;
  }

  get id(): string {
    return this.#wanted.call.id;
  }

  get attempt(): number {
    return this.#wanted.call.attempt;
  }

  hasBegun(): boolean {
    return !this.#kind.line.has(this);
  }

  isHeldUp(): boolean {
    return this.#kind.circuit.away !== undefined && !this.hasBegun();
  }

  cancel(): void {
    this.#isCancelled = true;
    this.#kind.line.delete(this);
    // An abort makes an error with a stack: 4 % of the worker, were every answered call to get one.
    this.#attempt?.giveUp();
  }

  /** Makes one attempt and tells its answer; nothing when it was cancelled meanwhile. */
  async perform({ callTimeout, scheduler }: CallsOptions): Promise<CallResult | undefined> {
    const { remote, call, input, inDoubt, answer } = this.#wanted;
    const began = scheduler.monotonic();
    const limit = remote.timeout ?? callTimeout;
    this.#attempt = new Attempt({ remote, call: { ...call, input: input() }, limit, inDoubt, scheduler });
    const result = await this.#attempt.make();
    this.#attempt = undefined;
    if (this.#isCancelled) return undefined;
    const duration = Math.round((scheduler.monotonic() - began) * 1000) / 1000;
    answer({ type: 'answered', call: call.id, attempt: call.attempt, duration, result });
    return result;
  }
}
