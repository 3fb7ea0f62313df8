import type { RemoteCall } from '../src/engine/definition.ts';
import type { Machine } from '../src/engine/machine.ts';
import { toMachine } from '../src/engine/machine.ts';
import { createTodo } from '../src/machines/create-todo.ts';
import type { Registry } from '../src/machines/registry.ts';
import type { Queue } from '../src/queue/queue.ts';
import type { Log } from '../src/worker/log.ts';
import { Worker } from '../src/worker/worker.ts';
import type { Equipment } from './post.ts';
import { ProcessDisk } from './process-disk.ts';
import { Process } from './process.ts';
import { callTimeout } from './receiver.ts';
import type { Scenario } from './scenario.ts';
import { WatchedStore } from './watched-store.ts';
import type { World } from './world.ts';

/** Short, so that a history is. */
const retry = { base: 50, cap: 2000, giveUpAfter: 60_000 };

/** A worker that has not left this long after it was told to is killed, in ms. */
const drainPatienceMs = 15_000;

/** How long whoever supervises a worker takes to start the next one, in ms. */
const restartMs = 500;

const elsewhere: RemoteCall = {
  perform: () => Promise.reject(new Error('each process has calls of its own')),
};

/** Its chart is built once: that takes longer than a history. */
export const machine: Machine = toMachine(createTodo({ sendAlert: elsewhere, sendAudit: elsewhere }, retry));

type Member = {
  readonly process: Process;
  readonly disk: ProcessDisk;
  readonly store: WatchedStore;
  readonly equipment: Equipment;
  readonly worker: Worker;
};

/** The workers of a history, each in a process of its own. Whoever goes is replaced. */
export class Crew {
  readonly #world: World;
  readonly #concurrency: number;
  readonly #members: (Member | undefined)[] = [];
  #pids = 0;

  constructor(world: World, { workers, concurrency }: Scenario) {
    this.#world = world;
    this.#concurrency = concurrency;
    for (let place = 0; place < workers; place++) this.#start(place);
  }

  /** Whoever is in that place; nobody while it is being replaced. */
  at(place: number): Member | undefined {
    return this.#members[place % this.#members.length];
  }

  /** The next process in that place starts `away` ms after this one is gone. */
  replace(place: number, away: number): void {
    const index = place % this.#members.length;
    const member = this.#members[index];
    this.#members[index] = undefined;
    member?.process.onDeath(() => this.#startIn(away, index));
  }

  kill(place: number, away: number): void {
    const member = this.at(place);
    if (!member) return;
    this.#note(member, 'is killed');
    this.replace(place, away);
    member.process.die();
  }

  drain(place: number, away: number): void {
    const member = this.at(place);
    if (!member) return;
    const { process, worker } = member;
    this.#note(member, 'drains');
    process.leaving = true;
    this.replace(place, away);
    void worker.drain().then(
      () => process.die(),
      () => process.die(),
    );
    this.#world.time.in(drainPatienceMs, () => process.die());
  }

  pause(place: number, length: number): void {
    this.#pause(this.at(place), length);
  }

  pauseNamed(name: string, length: number): void {
    const isNamed = (member: Member | undefined) => member?.process.name === name;
    this.#pause(this.#members.find(isNamed), length);
  }

  #pause(member: Member | undefined, length: number): void {
    if (!member) return;
    this.#note(member, 'is stopped');
    member.process.pause();
    this.#world.time.in(length, () => {
      this.#note(member, 'goes on');
      member.process.continue();
    });
  }

  /** Everybody alive may do again as they should. */
  recover(): void {
    for (const process of this.#world.processes.values()) process.wellSince = this.#world.time.now;
  }

  /** Who died with a lease has it no more. */
  hasBuried(): boolean {
    return this.#world.processes
      .values()
      .some(
        ({ alive, isMember, leaving, name }) =>
          isMember && !alive && !leaving && !this.#world.holdsLease(name),
      );
  }

  /** Nothing goes on after this. */
  dismiss(): void {
    for (const member of this.#members) member?.process.die();
  }

  #startIn(away: number, place: number): void {
    this.#members[place] = undefined;
    this.#world.time.in(away, () => this.#start(place));
  }

  #start(place: number): void {
    const world = this.#world;
    const pid = (this.#pids += 1);
    const process = new Process(world.time, `w${pid}`, pid);
    world.processes.set(pid, process);
    const disk = new ProcessDisk(world, process);
    const store = new WatchedStore(world, process, disk);
    const equipment = world.post.equip(process, disk);
    const worker = new Worker({
      id: process.name,
      store,
      queue: equipment.queue as Queue,
      registry: registryOf({
        sendAlert: equipment.sendAlert,
        sendAudit: world.receiver.callFrom(process),
      }),
      log: silent,
      clock: { now: () => world.clock.now, random: () => world.dice.roll() },
      scheduler: process,
      concurrency: this.#concurrency,
      callTimeout,
    });
    const member = { process, disk, store, equipment, worker };
    this.#members[place] = member;
    process.onDeath(() => {
      if (this.#members[place] === member) this.#startIn(restartMs, place);
    });
    void worker.start().catch(() => process.die());
  }

  #note({ process }: Member, what: string): void {
    this.#world.journal.note(process.name, what);
  }
}

const silent: Log = { debug() {}, info() {}, warn() {}, error() {} };

const registryOf = (remotes: Record<string, RemoteCall>): Registry => {
  const calls = [...machine.calls].map(([id, call]) => {
    const remote = remotes[call.name];
    return [id, remote ? { ...call, remote } : call] as const;
  });
  const own: Machine = { ...machine, calls: new Map(calls) };
  return {
    machines: [own],
    get: (ref) => (ref === own.ref ? own : undefined),
    resolve: (ref) => (ref === own.ref || ref === own.id ? own : undefined),
  };
};
