import { readAlerts, sendAlertToTable } from '../src/effects/alert-embedded.ts';
import { EmbeddedQueue } from '../src/queue/embedded/embedded-queue.ts';
import type { Submission } from '../src/queue/queue.ts';
import type { Milestone } from './milestones.ts';
import { ProcessDisk } from './process-disk.ts';
import { Process } from './process.ts';
import type { DeadLetter, Equipment, Post } from './post.ts';
import type { ConfirmFate, Scenario } from './scenario.ts';
import type { World } from './world.ts';

/** Longer than a run without an owner may have to wait: what only the message brings back shows as late. */
const lapMs = 30_000;

/** In such a share of histories nobody cuts a lap short: that takes long to play. */
const waitedOut = 0.2;

/** A message that a worker with room could have taken is late after so many ms: a failed look, and a slow disk. */
const lateMs = 2500;

type Row = {
  readonly seq: number;
  readonly id: string;
  readonly body: string;
  readonly holder: string | null;
  readonly visible_at: number;
  readonly deliveries: number;
};

/** A message in the table, and since when it is as it is, or ready (ms since the epoch, as time really goes). */
type Message = Row & {
  readonly since: number;
  readonly readySince: number | undefined;
  /** Nobody has had it in hand: it is ready, whatever the clock says. */
  readonly isNew: boolean;
};

/** The embedded queue. After each commit it is compared with what was there before: nobody may take from a living worker. */
export class TablePost implements Post {
  readonly #world: World;
  readonly #prefetch: number;
  readonly #fates: ConfirmFate[];
  /** Its laps end as they should, or as soon as nothing else is left to wait for. */
  readonly #waitsOut: boolean;
  #messages = new Map<number, Message>();
  #deadLetters = new Set<string>();
  #lastAlert = 0;
  /** When a worker last had as much in hand as it takes (ms since the epoch). */
  readonly #fullAt = new Map<string, number>();
  readonly #onHeld: ((worker: string) => void)[] = [];

  constructor(world: World, { concurrency, confirms }: Scenario) {
    this.#world = world;
    this.#prefetch = concurrency;
    this.#fates = [...confirms];
    this.#waitsOut = world.dice.roll() < waitedOut;
  }

  equip(process: Process, disk: ProcessDisk): Equipment {
    return {
      queue: this.#queueOf(process, disk),
      sendAlert: sendAlertToTable(disk, () => this.#world.clock.now),
    };
  }

  /** By a process of its own, which may be killed on either side of its commit. */
  submit(submission: Submission): Promise<void> {
    const fate = this.#fates.shift();
    const diesAt = fate === 'dropped' ? 'before' : fate === 'unconfirmed' ? 'after' : undefined;
    return this.asPerson((queue) => queue.publish(submission), diesAt);
  }

  /** @throws when the process of the person dies */
  asPerson<T>(act: (queue: EmbeddedQueue) => Promise<T>, diesAt?: 'before' | 'after'): Promise<T> {
    const process = new Process(this.#world.time, 'person', 0);
    const disk = new ProcessDisk(this.#world, process);
    disk.diesAt = diesAt;
    return new Promise((resolve, reject) => {
      process.onDeath(() => reject(new Error('it was killed')));
      act(this.#queueOf(process, disk)).then(resolve, reject);
    });
  }

  isIdle(): boolean {
    const { now } = this.#world.clock;
    for (const { holder, visible_at } of this.#messages.values())
      if (holder !== null || visible_at <= now) return false;
    return true;
  }

  isWaiting(): boolean {
    return this.#messages.size > 0;
  }

  endLaps(): void {
    if (this.#waitsOut) return;
    this.#write('UPDATE messages SET visible_at = 1 WHERE holder IS NULL');
  }

  dead(): DeadLetter[] {
    return this.#world.disk.db.all(
      'SELECT message_id AS id, CAST(body AS TEXT) AS body, error FROM dead_letters',
    );
  }

  duplicate(): void {
    this.#write(
      `INSERT INTO messages (id, machine, body, visible_at)
       SELECT id, machine, body, 0 FROM messages ORDER BY seq LIMIT 1`,
    );
  }

  /** Calls back once somebody has a message in hand. */
  whenHeld(act: (worker: string) => void): void {
    this.#onHeld.push(act);
    this.#tellHolder();
  }

  look(by: Process): void {
    const { db } = this.#world.disk;
    const before = this.#messages;
    this.#noteFull(); // until just now
    const rows = db.all<Row>(
      'SELECT seq, id, CAST(body AS TEXT) AS body, holder, visible_at, deliveries FROM messages ORDER BY seq',
    );
    this.#messages = new Map(rows.map((row) => [row.seq, this.#followed(by, before.get(row.seq), row)]));
    this.#seeBuried();
    for (const message of before.values())
      if (!this.#messages.has(message.seq)) this.#seeSettled(by, message);
    for (const { seq, key, event } of readAlerts(db, this.#lastAlert, rows.length + 100)) {
      this.#lastAlert = seq;
      this.#world.ledger.enterAlert(key, event);
    }
    for (const message of this.#messages.values()) this.#watchLate(message);
    this.#tellHolder();
  }

  #tellHolder(): void {
    if (this.#onHeld.length === 0) return;
    for (const { holder } of this.#messages.values())
      if (holder !== null) for (const act of this.#onHeld.splice(0)) act(holder);
  }

  #followed(by: Process, before: Message | undefined, row: Row): Message {
    const { time, clock } = this.#world;
    const isSame =
      before !== undefined &&
      before.holder === row.holder &&
      before.visible_at === row.visible_at &&
      before.deliveries === row.deliveries;
    if (!isSame) this.#seeMoved(by, before, row);
    const since = isSame ? before.since : time.now;
    const isNew = row.holder === null && (before?.isNew ?? true);
    const isReady = row.holder === null && (isNew || row.visible_at <= clock.now);
    const readySince = isReady ? ((isSame ? before.readySince : undefined) ?? time.now) : undefined;
    return { ...row, since, readySince, isNew };
  }

  #seeMoved(by: Process, before: Message | undefined, { id, holder, visible_at, deliveries }: Row): void {
    if (!before) this.#note(`${id} is submitted`);
    const from = before?.holder ?? null;
    if (from !== null && from !== by.name) this.#seeReturned(by, id, from);
    if (holder !== null) {
      if (holder !== by.name) this.#world.journal.violate(`theft: ${by.name} gave ${id} to ${holder}`);
      return this.#note(`${id} is handed to ${holder}`, deliveries > 1 ? 'redelivery' : undefined);
    }
    if (from === by.name && visible_at > 0 && deliveries === 0)
      return this.#note(`${id} waits for a lap`, 'lap');
    if (from === by.name) this.#note(`${id} is given back by ${from}`);
    return undefined;
  }

  /** Only whoever has lost its lease may lose what is in its hands. */
  #seeReturned(by: Process, id: string, from: string): void {
    if (this.#world.holdsLease(from))
      this.#world.journal.violate(`theft: ${by.name} took the message ${id} from ${from}, which holds it`);
    else this.#note(`${id} comes back from ${from}`);
  }

  /** It is gone: its run is final, or it has become a dead letter. */
  #seeSettled(by: Process, { id, body, holder }: Message): void {
    this.#note(`${id} is settled by ${by.name}`);
    // One that nobody held may have been taken and settled in one group of writes.
    if (holder !== null && holder !== by.name)
      this.#world.journal.violate(`theft: ${by.name} settled the message ${id}, which ${holder} holds`);
    this.#world.watchAck(id, body);
  }

  #seeBuried(): void {
    const letters = this.#world.disk.db.all<{ id: string; run: string; error: string }>(
      'SELECT id, message_id AS run, error FROM dead_letters ORDER BY rowid',
    );
    for (const { id, run, error } of letters)
      if (!this.#deadLetters.has(id)) this.#note(`${run} is a dead letter: ${error}`, 'dead letter');
    this.#deadLetters = new Set(letters.map(({ id }) => id));
  }

  /** A worker that is well and has room takes what is ready; and what is on a lap is ready in time. */
  #watchLate({ id, holder, since, readySince }: Message): void {
    if (holder !== null) return;
    const { time, clock, journal, processes } = this.#world;
    const patience = readySince === undefined ? lapMs + lateMs : lateMs;
    // A lap that was going on when the clock was set back is begun anew when it would have ended.
    const from = readySince ?? Math.max(since, clock.setAt > since ? clock.setAt + lapMs : 0);
    for (const { alive, paused, isMember, leaving, wellSince, name } of processes.values()) {
      if (!alive || paused || !isMember || leaving) continue;
      const lying = time.now - Math.max(from, wellSince, this.#fullAt.get(name) ?? 0);
      if (lying <= patience) continue;
      journal.violate(`lying: ${name} could have taken the message ${id} ${lying} ms ago`);
      this.#fullAt.set(name, time.now); // it is said once
    }
  }

  /** It takes no more until it has settled something. */
  #noteFull(): void {
    const inHand = new Map<string, number>();
    for (const { holder } of this.#messages.values())
      if (holder !== null) inHand.set(holder, (inHand.get(holder) ?? 0) + 1);
    for (const [worker, count] of inHand)
      if (count >= this.#prefetch) this.#fullAt.set(worker, this.#world.time.now);
  }

  #queueOf(process: Process, disk: ProcessDisk): EmbeddedQueue {
    const { clock } = this.#world;
    return new EmbeddedQueue(disk, {
      lapMs,
      now: () => clock.now,
      surroundings: {
        host: this.#world.host(process),
        after: (ms, ring) => process.after(ms, ring),
        watch: (_db, onCommit) => disk.watch(onCommit),
      },
    });
  }

  /** By whoever is not watched. */
  #write(sql: string): void {
    const { db } = this.#world.disk;
    const bystander = new Process(this.#world.time, 'bystander', 0);
    db.write(() => db.run(sql)).then(
      () => {
        this.look(bystander);
        this.#world.diskChanged(bystander);
      },
      () => {}, // the disk is full
    );
  }

  #note(what: string, milestone?: Milestone): void {
    this.#world.journal.note('queue', what, milestone);
  }
}
