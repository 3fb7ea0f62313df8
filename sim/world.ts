import type { Host } from '../src/sqlite/host.ts';
import { leaseMs } from '../src/sqlite/workers.ts';
import { Broker } from './broker.ts';
import { BrokerPost } from './broker-post.ts';
import { WallClock } from './clock.ts';
import { Dice } from './dice.ts';
import type { Disk } from './disk.ts';
import { Journal } from './journal.ts';
import { Ledger } from './ledger.ts';
import type { Post } from './post.ts';
import type { Process } from './process.ts';
import { Receiver } from './receiver.ts';
import type { Scenario } from './scenario.ts';
import { TablePost } from './table-post.ts';
import { Time } from './time.ts';

/** How late a process hears that another one has written to the file, in ms. */
const watchMs = 10;

/** A process that could renew its lease for as long as this (ms) does not lose it: a lease lasts 15 s. */
const renewableMs = 10_000;

/** A lease of somebody who sleeps is gone this many ms after it ran out: whoever is well looks once a second. */
const burialMs = 2500;

type Watcher = { readonly process: Process; readonly onChange: () => void; isTold: boolean };

/** Everything around the workers: one host with its processes and its disk, a broker, an audit service. */
export class World {
  readonly time = new Time();
  readonly clock = new WallClock(this.time);
  readonly journal = new Journal(this.time);
  readonly processes = new Map<number, Process>();
  readonly dice: Dice;
  readonly disk: Disk;
  readonly ledger: Ledger;
  readonly broker: Broker;
  readonly receiver: Receiver;
  /** Where the messages are: at the broker, or in tables on the disk. */
  readonly post: Post;
  readonly tables: TablePost | undefined;
  /** When the timer of a run is due, whatever the clock says (ms since the epoch). */
  readonly dues = new Map<string, number>();
  /** How many were committed. */
  transitions = 0;
  readonly #watchers = new Set<Watcher>();

  constructor(scenario: Scenario, disk: Disk) {
    this.dice = new Dice(scenario.dice);
    this.disk = disk;
    this.ledger = new Ledger(this.journal, disk.db);
    this.broker = new Broker(this, scenario.confirms, {
      onAlert: (key, body) => this.ledger.enterAlert(key, body),
      onAck: (id, content) => this.watchAck(id, content.toString()),
    });
    this.receiver = new Receiver(this, scenario);
    this.tables = scenario.queue === 'embedded' ? new TablePost(this, scenario) : undefined;
    this.post = this.tables ?? new BrokerPost(this);
  }

  /** The host as one process sees it: who is dead is gone at once. */
  host(process: Process): Host {
    return {
      pid: process.pid,
      name: () => 'here',
      bornOf: (pid) => (this.processes.get(pid)?.alive ? String(pid) : undefined),
    };
  }

  /** Since when somebody has been well all the time (ms since the epoch). */
  wellSince(): number {
    const well = [...this.processes.values()].filter(({ alive, paused }) => alive && !paused);
    return Math.min(...well.map(({ wellSince }) => wellSince));
  }

  watchDisk(process: Process, onChange: () => void): { close(): void } {
    const watcher = { process, onChange, isTold: false };
    this.#watchers.add(watcher);
    return { close: () => void this.#watchers.delete(watcher) };
  }

  /** What comes together is heard of once. */
  diskChanged(by: Process): void {
    for (const watcher of this.#watchers) {
      const { process } = watcher;
      if (process === by || !process.alive || watcher.isTold) continue;
      watcher.isTold = true;
      process.after(watchMs, () => {
        watcher.isTold = false;
        watcher.onChange();
      });
    }
  }

  holdsLease(worker: string): boolean {
    return this.disk.db.get('SELECT 1 FROM workers WHERE id = :worker', { worker }) !== undefined;
  }

  /** Somebody has just buried who is dead: nobody else may be among them, and nobody be left out. */
  watchLeases(): void {
    for (const process of this.processes.values()) {
      if (process.alive && process.pausedSince !== undefined)
        this.#watchSleeper(process, process.pausedSince);
      const wasWell = process.alive && !process.paused && this.time.now - process.wellSince > renewableMs;
      if (wasWell && !process.leaving && !this.holdsLease(process.name))
        this.journal.violate(`${process.name} lost its lease, and was well all the time`);
    }
  }

  #watchSleeper({ name }: Process, since: number): void {
    const overdue = this.time.now - Math.max(since, this.clock.setAt, this.wellSince()) - leaseMs;
    if (overdue > burialMs && this.holdsLease(name))
      this.journal.violate(`undead: ${name} sleeps, and its lease ran out ${overdue} ms ago`);
  }

  /**
   * Nothing may be acked before its run is final, but what has become a dead letter. A person may have put a run back
   * to a step since: then its message has done its work, and the store has the run.
   */
  watchAck(id: string | undefined, body: string): void {
    const run = this.disk.db.get<{ status: string }>('SELECT status FROM runs WHERE id = :id', { id });
    if (run && (run.status !== 'active' || this.#wasFinal(id))) return;
    if (!this.post.dead().some((dead) => dead.id === id && dead.body === body))
      this.journal.violate(`early ack: ${id} is acked, and its run is ${run?.status ?? 'not there'}`);
  }

  #wasFinal(id: string | undefined): boolean {
    const retries = `SELECT 1 FROM transitions
      WHERE run = (SELECT no FROM runs WHERE id = :id) AND event = 'retry' LIMIT 1`;
    return this.disk.db.get(retries, { id }) !== undefined;
  }
}
