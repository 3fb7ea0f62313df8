import type { Machine } from '../engine/machine.ts';
import { inputOf, wantedCalls } from '../engine/interpreter.ts';
import { isFinal } from '../engine/run.ts';
import type { Incident, Run } from '../engine/run.ts';
import type { Calls, OngoingCall } from './calls.ts';
import type { Log } from './log.ts';
import type { DeliveryMail } from './mail.ts';
import { waitsLong } from '../store/store.ts';
import type { Scheduler } from './scheduler.ts';
import { settle } from './settle.ts';

/** A run in this worker's hands: its last committed record, and all that goes on for it. */
export class Held {
  readonly machine: Machine;
  run: Run;
  /** They are acked when the run is final. */
  deliveries: DeliveryMail[] = [];
  /** Its resume counts against it should this worker die. */
  wasTakenUp = false;
  readonly #scheduler: Scheduler;
  readonly #calls = new Map<string, OngoingCall>();
  readonly #alarms = new Map<string, { at: number; cancel(): void }>();

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
    return this.#calls.values().some((call) => call.isHeldUp());
  }

  /** It was taken up from the store and has done nothing since but wait for its turn. */
  isIdle(): boolean {
    return this.wasTakenUp && this.#calls.size > 0 && !this.#calls.values().some((call) => call.hasBegun());
  }

  /** The run goes on by itself; its message comes back later and finds it final, or waits again. */
  release(log: Log): void {
    for (const { delivery } of this.deliveries.splice(0)) settle(delivery, { how: 'later' }, log);
  }

  /** Stops everything; nothing is posted after this. */
  stop(): void {
    for (const call of this.#calls.values()) call.cancel();
    for (const alarm of this.#alarms.values()) alarm.cancel();
    this.#calls.clear();
    this.#alarms.clear();
  }

  #alignCalls(calls: Calls, post: (incident: Incident) => void, inDoubt: boolean): void {
    const wanted = new Map(wantedCalls(this.machine, this.run).map((call) => [call.id, call]));
    for (const [id, ongoing] of this.#calls) {
      if (wanted.get(id)?.attempt === ongoing.attempt) continue;
      ongoing.cancel();
      this.#calls.delete(id);
    }
    const { run } = this;
    for (const [id, { src, key, attempt }] of wanted) {
      if (this.#calls.has(id)) continue;
      this.#calls.set(
        id,
        calls.start({
          machine: this.machine.id,
          remote: this.machine.calls.get(id)!.remote!,
          call: { id, src, key, attempt },
          input: () => inputOf(run, id),
          inDoubt,
          answer: post,
        }),
      );
    }
  }

  #alignAlarms(now: number, post: (incident: Incident) => void): void {
    const timers = isFinal(this.run) ? {} : this.run.timers;
    // A clock that was set back since makes no wait longer than it was.
    const since = Math.max(now, this.run.updatedAt);
    for (const [timer, alarm] of this.#alarms) {
      if (timers[timer]?.at === alarm.at) continue;
      alarm.cancel();
      this.#alarms.delete(timer);
    }
    for (const [timer, { at }] of Object.entries(timers)) {
      if (this.#alarms.has(timer)) continue;
      const cancel = this.#scheduler.after(at - since, () => post({ type: 'due', timer, at }));
      this.#alarms.set(timer, { at, cancel });
    }
  }
}
