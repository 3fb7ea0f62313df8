import type { Machine } from '../engine/machine.ts';
import { inputOf, wantedCalls } from '../engine/interpreter.ts';
import { isFinal } from '../engine/run.ts';
import type { Call, Incident, Run } from '../engine/run.ts';
import type { Calls, OngoingCall } from './calls.ts';
import type { Log } from './log.ts';
import type { DeliveryMail } from './mail.ts';
import { waitsLong } from '../store/store.ts';
import type { Scheduler } from './scheduler.ts';
import { settle } from './settle.ts';

type Alarm = { readonly timer: string; readonly at: number; cancel(): void };

/** A run in this worker's hands: its last committed record, and all that goes on for it. */
export class Held {
  readonly machine: Machine;
  run: Run;
  /** They are acked when the run is final. */
  deliveries: readonly DeliveryMail[] = [];
  /** Its resume counts against it should this worker die. */
  wasTakenUp = false;
  readonly #scheduler: Scheduler;
  // Lists of just their length: a run has one or two, and a hundred thousand may wait.
  #calls: readonly OngoingCall[] = [];
  #alarms: readonly Alarm[] = [];

  constructor(machine: Machine, run: Run, scheduler: Scheduler) {
    this.machine = machine;
    this.run = run;
    this.#scheduler = scheduler;
  }

  /**
   * Makes what goes on equal to what the record asks for: starts wanted calls, sets timers, drops the rest.
   * The same after a transition as after a crash, but for `inDoubt`: nobody knows how far the calls had come.
   */
  align(calls: Calls, now: number, post: (incident: Incident) => void, inDoubt: boolean): void {
    this.#alignCalls(calls, post, inDoubt);
    this.#alignAlarms(now, post);
  }

  /** It goes on by itself, but not soon: its deliveries need not stay in hand. */
  waitsLong(now: number): boolean {
    const { dueAt } = this.run;
    if (dueAt !== null) return waitsLong(this.run, now);
    return this.#calls.some((call) => call.isHeldUp());
  }

  /** It was taken up from the store and has done nothing since but wait for its turn. */
  isIdle(): boolean {
    return this.wasTakenUp && this.#calls.length > 0 && !this.#calls.some((call) => call.hasBegun());
  }

  /** The run goes on by itself; its message comes back later and finds it final, or waits again. */
  release(log: Log): void {
    for (const { delivery } of this.deliveries) settle(delivery, { how: 'later' }, log);
    this.deliveries = [];
  }

  /** Stops everything; nothing is posted after this. */
  stop(): void {
    for (const ongoing of [...this.#calls, ...this.#alarms]) ongoing.cancel();
    this.#calls = [];
    this.#alarms = [];
  }

  #alignCalls(calls: Calls, post: (incident: Incident) => void, inDoubt: boolean): void {
    const wanted = wantedCalls(this.machine, this.run);
    this.#calls = keepWanted(this.#calls, (ongoing) =>
      wanted.some(({ id, attempt }) => id === ongoing.id && attempt === ongoing.attempt),
    );
    for (const call of wanted) {
      if (this.#calls.some(({ id }) => id === call.id)) continue;
      this.#calls = this.#calls.concat(this.#start(call, calls, post, inDoubt));
    }
  }

  #start(
    { id, src, key, attempt }: Call,
    calls: Calls,
    answer: (incident: Incident) => void,
    inDoubt: boolean,
  ): OngoingCall {
    const { machine, run } = this;
    return calls.start({
      machine: machine.id,
      remote: machine.calls.get(id)!.remote!,
      call: { id, src, key, attempt },
      input: () => inputOf(run, id),
      inDoubt,
      answer,
    });
  }

  #alignAlarms(now: number, post: (incident: Incident) => void): void {
    const timers = isFinal(this.run) ? {} : this.run.timers;
    // A clock that was set back since makes no wait longer than it was.
    const since = Math.max(now, this.run.updatedAt);
    this.#alarms = keepWanted(this.#alarms, ({ timer, at }) => timers[timer]?.at === at);
    for (const [timer, { at }] of Object.entries(timers)) {
      if (this.#alarms.some((alarm) => alarm.timer === timer)) continue;
      const cancel = this.#scheduler.after(at - since, () => post({ type: 'due', timer, at }));
      this.#alarms = this.#alarms.concat({ timer, at, cancel });
    }
  }
}

/** Cancels what is not wanted any more. */
const keepWanted = <Item extends { cancel(): void }>(
  items: readonly Item[],
  isWanted: (item: Item) => boolean,
): readonly Item[] => {
  for (const item of items) if (!isWanted(item)) item.cancel();
  return items.filter(isWanted);
};
