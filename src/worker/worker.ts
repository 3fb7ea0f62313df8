/**
 * The loop. Every turn steps what came in, commits it in one transaction, and only then acts: it starts the
 * calls that the records ask for and settles the deliveries of runs that are final. Resuming after a crash
 * is the same with the records that the store holds.
 */
import { isFinal, refOf } from '../engine/run.ts';
import type { Clock, Incident, Run } from '../engine/run.ts';
import { messageOf } from '../engine/errors.ts';
import { defaultRetry } from '../engine/retry.ts';
import type { Registry } from '../machines/registry.ts';
import type { Consumer, Delivery, Queue } from '../queue/queue.ts';
import { isGone } from '../store/store.ts';
import type { Change, Claim, Outcome, WorkerStore } from '../store/store.ts';
import { Calls } from './calls.ts';
import type { Probing } from './circuit.ts';
import { Held } from './held.ts';
import { askedFor, takeIn } from './intake.ts';
import type { Log } from './log.ts';
import { brokenOff } from './mail.ts';
import type { DeliveryMail, Draft, Mail } from './mail.ts';
import { eventLoop, pause } from './scheduler.ts';
import type { Scheduler } from './scheduler.ts';
import { settle } from './settle.ts';
import { Tenure } from './tenure.ts';
import { Turn } from './turn.ts';
import { Upkeep } from './upkeep.ts';

export type WorkerOptions = {
  /** Names this process in the store and to the queue; never used twice. */
  readonly id: string;
  readonly store: WorkerStore;
  readonly queue: Queue;
  readonly registry: Registry;
  readonly log: Log;
  readonly clock?: Clock;
  readonly scheduler?: Scheduler;
  /** How many deliveries may be in hand, and how many calls of one kind may run, at once. */
  readonly concurrency?: number;
  /** How long one attempt of a call may take, in ms. */
  readonly callTimeout?: number;
  /** The pauses between probes of a receiver that is away. */
  readonly probing?: Probing;
  readonly maxResumes?: number;
  /** How long runs that are done or cancelled are kept, in ms; longer than a lap of the queue. For ever by default. */
  readonly keep?: number;
};

const defaults = {
  clock: { now: Date.now, random: Math.random },
  scheduler: eventLoop,
  concurrency: 256,
  callTimeout: 10_000,
  probing: defaultRetry,
  maxResumes: 5,
  keep: Infinity,
};

/** More mail than this waits for the next turn, so that a transaction stays short. */
const maxTurn = 1000;

/** How long a worker whose store refuses a commit waits before the next try, in ms. */
const pauseMs = 500;

export class Worker {
  readonly #options: Required<WorkerOptions>;
  readonly #held = new Map<string, Held>();
  readonly #calls: Calls;
  readonly #tenure: Tenure;
  readonly #upkeep: Upkeep;
  /** The machines that this worker can run. */
  readonly #refs: readonly string[];
  #inbox: Mail[] = [];
  #turning: Promise<void> | undefined;
  #consumer: Consumer | undefined;
  #draining: Promise<void> | undefined;
  #storeFails = false;
  readonly #broken = Promise.withResolvers<never>();
  #isBroken = false;

  constructor(options: WorkerOptions) {
    this.#options = { ...defaults, ...options };
    const { store, id, registry, log, scheduler } = this.#options;
    this.#broken.promise.catch(() => {}); // nobody may be listening
    this.#refs = registry.machines.map(({ ref }) => ref);
    this.#calls = new Calls(this.#options);
    this.#upkeep = new Upkeep(this.#options, this.#held, this.#calls);
    this.#tenure = new Tenure({
      store,
      worker: id,
      log,
      scheduler,
      refs: this.#refs,
      onResumed: (resumed) => this.#post({ type: 'resumed', resumed }),
      onEvicted: (run) => this.#post({ type: 'evicted', run }),
      onLost: () => this.#letGoOfAll(),
      onGone: (error) => this.#break(error),
      onTick: () => this.#upkeep.tick(),
      room: () => this.#upkeep.room(),
      settled: () => this.#seen(),
    });
  }

  /** Resumes what the store holds, then takes new work as well. @throws when the store cannot be used. */
  async start(): Promise<void> {
    const { id, queue, concurrency } = this.#options;
    await this.#tenure.begin();
    if (this.#draining) return;
    this.#consumer = queue.consume({
      worker: id,
      prefetch: concurrency,
      onDelivery: (delivery) => this.#receive(delivery),
      onLost: () => this.#forgetDeliveries(),
    });
  }

  /** Rejects when the worker cannot go on, because its store is gone; it has let go of everything by then. Else pending. */
  get broken(): Promise<never> {
    return this.#broken.promise;
  }

  /** How many unfinished runs are in hand. */
  get inHand(): number {
    return this.#held.size;
  }

  /** Takes no more, finishes the calls that run, commits their answers, gives the rest back. Safe to call twice. */
  drain(): Promise<void> {
    return (this.#draining ??= this.#drain());
  }

  async #drain(): Promise<void> {
    await this.#consumer?.stop();
    await this.#tenure.stop();
    await this.#upkeep.stop();
    await this.#calls.close();
    if (!this.#storeFails) await this.#quiet();
    for (const held of this.#held.values()) held.stop();
    await this.#options.queue.close();
    if (!this.#isBroken) await this.#options.store.leave(this.#options.id);
  }

  /** What is in hand goes back to the queue when it closes, unacked. */
  #break(error: unknown): void {
    this.#isBroken = true;
    for (const held of this.#held.values()) held.stop();
    this.#held.clear();
    for (const item of this.#inbox.splice(0)) if (item.type === 'marker') item.reached();
    this.#broken.reject(error);
  }

  /** Resolves when nothing is left in the inbox. */
  async #quiet(): Promise<void> {
    while (this.#turning) await this.#turning;
  }

  /** Resolves when the turn is over that takes what is in the inbox now: under load it is never empty. */
  #seen(): Promise<void> {
    return new Promise((resolve) => this.#post({ type: 'marker', reached: resolve }));
  }

  #post(mail: Mail): void {
    if (this.#isBroken) return mail.type === 'marker' ? mail.reached() : undefined;
    this.#inbox.push(mail);
    this.#turning ??= this.#loop();
  }

  async #loop(): Promise<void> {
    const { scheduler, log } = this.#options;
    while (this.#inbox.length > 0) {
      // After the I/O of this round has been read, and what came in during a commit: its messages and answers share one.
      await new Promise<void>((resolve) => scheduler.soon(resolve));
      const mail = this.#inbox.splice(0, maxTurn);
      try {
        await this.#turn(mail);
        if (this.#storeFails) log.info({}, 'the store works again');
        this.#storeFails = false;
      } catch (error) {
        await this.#takeAgain(
          mail.filter(({ type }) => type !== 'marker'),
          error,
        );
      } finally {
        for (const item of mail) if (item.type === 'marker') item.reached();
      }
      if (this.#storeFails && this.#draining) break;
    }
    for (const item of this.#inbox) if (item.type === 'marker') item.reached(); // nobody waits for a store that fails
    this.#turning = undefined;
  }

  async #turn(mail: Mail[]): Promise<void> {
    const { store, id, registry, clock, maxResumes } = this.#options;
    const held = (run: string) => this.#held.get(run);
    const turn = new Turn({ registry, clock, maxResumes, held }, await this.#claim(mail));
    for (const item of mail) turn.take(item);
    const changes = turn.changes();
    const steps = changes.map(({ change }) => change);
    this.#act(turn, changes, steps.length > 0 ? await store.commit(id, steps) : []);
  }

  /** Asks the store about the runs that deliveries name and this worker does not hold. */
  async #claim(mail: Mail[]): Promise<Map<string, Claim>> {
    const { store, queue, id: worker } = this.#options;
    const asked = askedFor(mail, this.#held, queue);
    if (asked.length === 0) return new Map();
    const claims = await store.claim(worker, this.#refs, asked);
    return new Map(asked.map(({ id }, index) => [id, claims[index]!]));
  }

  /** After the commit: the world follows the records. */
  #act(turn: Turn, changes: { draft: Draft; change: Change }[], outcomes: Outcome[]): void {
    const gone = new Set<string>();
    for (const [index, { draft, change }] of changes.entries()) {
      const outcome = outcomes[index]!;
      this.#tenure.moved(draft.id);
      if (outcome.type === 'committed' && !change.release) continue;
      gone.add(draft.id);
      if (outcome.type === 'committed') this.#putDown(draft);
      else if (outcome.type === 'conflict') this.#letGo(draft.id, draft.deliveries);
      else this.#reject(draft, outcome.error);
    }
    for (const draft of turn.drafts.values()) if (!gone.has(draft.id)) this.#keep(draft);
    for (const id of turn.evicted) this.#letGo(id, []);
    for (const { delivery, settlement } of turn.settlements) settle(delivery, settlement, this.#options.log);
    this.#tenure.roomMade();
  }

  /** The run fails for it, in the next turn. Where even that is refused, the store is given time to mend. */
  #reject(draft: Draft, error: string): void {
    const mail: Mail = { type: 'rejected', draft, reason: `the store refused a write: ${error}` };
    if (draft.step?.transitions.at(-1)?.event !== 'fail') return this.#post(mail);
    this.#options.log.error({ run: draft.id, error }, 'the store refuses to record that a run failed');
    this.#options.scheduler.after(pauseMs, () => {
      if (!this.#draining) this.#post(mail);
    });
    return undefined;
  }

  /** A record from which nothing can go on was damaged: that ends its own run, and holds up no other. */
  #keep(draft: Draft): void {
    try {
      this.#follow(draft);
    } catch (error) {
      this.#post(brokenOff(draft, `its record cannot be followed: ${messageOf(error)}`));
    }
  }

  /** Takes the record as it was committed, and makes what goes on follow it. */
  #follow({ id, machine, base, step, deliveries, inDoubt }: Draft): void {
    const run = step?.run ?? base!;
    if (isFinal(run)) return this.#finish(run, deliveries);
    const held = this.#held.get(id) ?? new Held(machine, run, this.#options.scheduler);
    held.run = run;
    held.deliveries = held.deliveries.concat(deliveries);
    this.#held.set(id, held);
    const now = this.#options.clock.now();
    const post = (incident: Incident) => this.#post({ type: 'incident', run: id, incident });
    held.wasTakenUp = !step && (inDoubt || held.wasTakenUp);
    if (!this.#draining) held.align(this.#calls, now, post, inDoubt && !step);
    if (held.waitsLong(now)) held.release(this.#options.log);
    return undefined;
  }

  /** The only place where a delivery of a run is acked: after the commit that made the run final. */
  #finish(run: Run, deliveries: readonly DeliveryMail[]): void {
    const { log } = this.#options;
    const { id, status, state, reason } = run;
    for (const { delivery } of this.#drop(id, deliveries)) settle(delivery, { how: 'ack' }, log);
    if (status === 'failed') log.warn({ run: id, machine: refOf(run), reason }, 'run failed');
    else log.debug({ run: id, state }, 'run final');
  }

  /** It waits in the store, which holds its timer; its message comes back later and finds it final, or waits again. */
  #putDown({ id, deliveries }: Draft): void {
    const { log } = this.#options;
    for (const { delivery } of this.#drop(id, deliveries)) settle(delivery, { how: 'later' }, log);
  }

  /** Another worker or a person has the run: its deliveries are looked at anew. */
  #letGo(id: string, deliveries: readonly DeliveryMail[]): void {
    for (const mail of this.#drop(id, deliveries)) this.#post({ ...mail, again: true });
  }

  /** Nothing goes on for the run here any more. Returns its deliveries, which are still in hand. */
  #drop(id: string, deliveries: readonly DeliveryMail[]): DeliveryMail[] {
    const held = this.#held.get(id);
    held?.stop();
    this.#held.delete(id);
    return [...(held?.deliveries ?? []), ...deliveries];
  }

  #letGoOfAll(): void {
    this.#options.log.warn({ runs: this.#held.size }, 'the lease ran out: other workers have these runs now');
    for (const id of this.#held.keys()) this.#letGo(id, []);
  }

  #receive(delivery: Delivery): void {
    const { registry, scheduler, log } = this.#options;
    const intake = takeIn(delivery.message, registry);
    switch (intake.type) {
      case 'accepted':
        return this.#post({ ...intake, type: 'delivery', delivery, since: scheduler.monotonic() });
      case 'refused':
        return settle(delivery, { how: 'deadLetter', error: intake.error }, log);
      case 'unknownMachine':
        log.warn(
          { message: delivery.message.id, machine: intake.ref },
          'no such machine here; the message waits',
        );
        return settle(delivery, { how: 'later' }, log);
    }
  }

  #forgetDeliveries(): void {
    for (const held of this.#held.values()) held.deliveries = [];
  }

  async #takeAgain(mail: Mail[], error: unknown): Promise<void> {
    if (isGone(error)) return this.#break(error);
    if (!this.#storeFails)
      this.#options.log.error(
        { error: messageOf(error) },
        'the store refuses a commit; the worker waits for it',
      );
    this.#storeFails = true;
    this.#inbox.unshift(...mail);
    await pause(this.#options.scheduler, pauseMs);
  }
}
