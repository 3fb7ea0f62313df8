import type { Run } from '../src/engine/run.ts';
import { leaseMs } from '../src/sqlite/workers.ts';
import type {
  Change,
  Claim,
  KnownMachine,
  Outage,
  Outcome,
  Resumed,
  Retired,
  WorkerStore,
} from '../src/store/store.ts';
import { SqliteStore } from '../src/store/sqlite/sqlite-store.ts';
import type { Milestone } from './milestones.ts';
import { retryAfterSeconds } from './receiver.ts';
import type { ProcessDisk } from './process-disk.ts';
import type { Process } from './process.ts';
import type { World } from './world.ts';

/** A worker that could fire a timer and did not is late after this many ms: a failed commit, a tick and the wires. */
const lateMs = 2500;

/** The same where nobody held the run: a lease may have to run out first. */
const abandonedMs = 20_000;

/** Who takes a run up after the clock was set back waits once more, in ms: no wait is longer. */
const longestWaitMs = retryAfterSeconds * 1000;

type Row = { seq: number; owner: string | null };

/** The real store of one process. It watches that nobody changes what is not theirs, and that timers are kept. */
export class WatchedStore implements WorkerStore {
  /** The process dies with its next commit of a turn. */
  diesAt: 'before' | 'after' | undefined;
  readonly #world: World;
  readonly #process: Process;
  readonly #disk: ProcessDisk;
  readonly #store: SqliteStore;
  /** Since when it has each run in hand. */
  readonly #since = new Map<string, number>();

  constructor(world: World, process: Process, disk: ProcessDisk) {
    this.#world = world;
    this.#process = process;
    this.#disk = disk;
    this.#store = new SqliteStore(disk, () => world.clock.now, leaseMs, world.host(process));
  }

  prepare(machines: readonly KnownMachine[]): Promise<string[]> {
    return this.#store.prepare(machines);
  }

  async join(worker: string): Promise<void> {
    await this.#store.join(worker);
    this.#process.isMember = true;
    this.#note('holds a lease');
  }

  async renew(worker: string): Promise<{ held: boolean; evicted: string[] }> {
    const renewed = await this.#disk.witnessed({ after: () => this.#world.watchLeases() }, () =>
      this.#store.renew(worker),
    );
    if (!renewed.held) this.#note('was taken for dead', 'lost lease');
    return renewed;
  }

  async leave(worker: string): Promise<void> {
    await this.#store.leave(worker);
    this.#note('has left');
  }

  async resume(worker: string, refs: readonly string[], limit: number): Promise<Resumed[]> {
    const resumed = await this.#store.resume(worker, refs, limit);
    for (const { run, resumes } of resumed)
      this.#take(run.id, `resumes ${run.id} in ${run.state} (${resumes})`);
    return resumed;
  }

  async claim(...args: Parameters<WorkerStore['claim']>): Promise<Claim[]> {
    const wanted = args[2];
    let owners: (string | null)[] = [];
    const witness = {
      before: () => (owners = wanted.map(({ id }) => this.#row(id)?.owner ?? null)),
      after: (claims: Claim[]) =>
        claims.forEach((claim, index) => this.#seeClaim(wanted[index]!, owners[index]!, claim)),
    };
    const claims = await this.#disk.witnessed(witness, () => this.#store.claim(...args));
    for (const claim of claims)
      if (claim.type === 'claimed') this.#take(claim.run.id, `claims ${claim.run.id} in ${claim.run.state}`);
    return claims;
  }

  async commit(worker: string, changes: readonly Change[]): Promise<Outcome[]> {
    if (this.diesAt === 'before') return this.#die('before a commit');
    let before: (Row | undefined)[] = [];
    let isLeased = false;
    const witness = {
      before: () => {
        before = changes.map(({ run }) => this.#row(run.id));
        isLeased = changes.some(({ expected }) => expected === null) && this.#world.holdsLease(worker);
      },
      after: (outcomes: Outcome[]) => {
        for (const [index, change] of changes.entries())
          this.#see(worker, isLeased, before[index], change, outcomes[index]!);
        if (this.diesAt === 'after') void this.#die('after a commit');
      },
    };
    return this.#disk.witnessed(witness, () => this.#store.commit(worker, changes));
  }

  spare(worker: string, runs: readonly string[]): Promise<void> {
    return this.#store.spare(worker, runs);
  }

  noteOutages(worker: string, outages: readonly Outage[]): Promise<void> {
    if (outages.length > 0) this.#world.journal.reached.add('open circuit');
    return this.#store.noteOutages(worker, outages);
  }

  prune(retired: Retired, limit: number): Promise<number> {
    return this.#store.prune(retired, limit);
  }

  watch(onChange: () => void): { close(): void } {
    return this.#disk.watch(onChange);
  }

  #die(when: string): Promise<never> {
    this.#note(`dies ${when}`);
    this.#process.die();
    return new Promise(() => {});
  }

  #see(worker: string, isLeased: boolean, before: Row | undefined, change: Change, outcome: Outcome): void {
    const { run, expected, transitions } = change;
    const steps = transitions.map(({ event, to }) => `${event} → ${to}`).join(', ');
    this.#note(`${outcome.type} ${run.id} #${run.seq}: ${steps}`);
    if (outcome.type === 'conflict') this.#world.journal.reached.add('late write');
    if (outcome.type !== 'committed') return;
    if (transitions.at(-1)!.event === 'fail') this.#seeFailure(run.id);
    this.#world.transitions += transitions.length;
    const isOwn = before ? before.owner === worker && before.seq === expected : expected === null && isLeased;
    if (!isOwn)
      this.#world.journal.violate(
        `${worker} changed ${run.id}, which was at #${before?.seq} with ${before?.owner ?? 'nobody'}`,
      );
    if (transitions[0]!.event.startsWith('after')) this.#seeTimer(run.id);
    this.#noteDue(run);
    this.#since.set(run.id, this.#since.get(run.id) ?? this.#world.time.now);
  }

  /** Only a broker's redelivery says that whoever holds a run may be gone. */
  #seeClaim(
    { id, redelivered }: { id: string; redelivered: boolean },
    owner: string | null,
    { type }: Claim,
  ): void {
    const provesLoss = redelivered && !this.#world.tables;
    if (type === 'claimed' && !provesLoss && owner !== null && owner !== this.#process.name)
      this.#world.journal.violate(`theft: ${this.#process.name} took ${id} from ${owner}, which holds it`);
  }

  /** A run fails by itself only when it takes one worker down after the other. */
  #seeFailure(run: string): void {
    const { journal, receiver } = this.#world;
    if (receiver.wasPoisonous(run)) journal.reached.add('poison run');
    else journal.violate(`blamed: ${run} failed for deaths that were not its doing`);
  }

  #noteDue({ id, dueAt, updatedAt }: Run): void {
    const { clock, dues } = this.#world;
    if (dueAt === null) dues.delete(id);
    else dues.set(id, clock.timeOf(updatedAt) + dueAt - updatedAt);
  }

  #seeTimer(run: string): void {
    const { time, clock, dues, journal } = this.#world;
    const due = dues.get(run);
    if (due === undefined || time.now < due)
      return journal.violate(`early: a timer of ${run} fired before it was due`);
    const ready = Math.max(due, this.#process.wellSince, this.#since.get(run) ?? 0);
    const again = clock.wasSetBack ? longestWaitMs : 0;
    if (time.now - ready > lateMs + again)
      journal.violate(
        `late: a timer of ${run} fired ${time.now - ready} ms after ${this.#process.name} could have`,
      );
    // A lease that was taken before the clock was set back lasts for as long again.
    const abandoned = time.now - Math.max(due, this.#world.wellSince(), clock.setAt);
    if (abandoned > abandonedMs + again)
      journal.violate(`abandoned: a timer of ${run} fired ${abandoned} ms after somebody should have`);
    return undefined;
  }

  #row(id: string): Row | undefined {
    return this.#world.disk.db.get<Row>('SELECT seq, owner FROM runs WHERE id = :id', { id });
  }

  #take(run: string, what: string): void {
    this.#since.set(run, this.#world.time.now);
    this.#note(what, 'takeover');
  }

  #note(what: string, milestone?: Milestone): void {
    this.#world.journal.note(this.#process.name, what, milestone);
  }
}
