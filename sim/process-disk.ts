import { Database } from '../src/sqlite/database.ts';
import { pause } from '../src/worker/scheduler.ts';
import type { Process } from './process.ts';
import type { World } from './world.ts';

/** How long a process waits for its disk, in ms: before it writes, and before it hears that it has written. */
const slowest = 2;

/** Who looks on while something is written: in its transaction, before it; and once it is written. */
type Witness<T> = { readonly before?: () => void; readonly after: (result: T) => void };

/**
 * The disk as one process has it: the real group commit. It takes time, it may fail, and the process may die on either
 * side of it; then nobody in it hears of what was written.
 */
export class ProcessDisk extends Database {
  /** The process dies with its next group of writes. */
  diesAt: 'before' | 'after' | undefined;
  readonly #world: World;
  readonly #process: Process;
  #witness: Witness<never> | undefined;
  #heard: Promise<void> = Promise.resolve();

  constructor(world: World, process: Process) {
    super('(simulated)', world.disk.connection, (flush) => {
      process.after(world.dice.between(0, slowest), () => this.#flush(flush));
    });
    this.#world = world;
    this.#process = process;
  }

  override async write<T>(work: () => T): Promise<T> {
    const witness = this.#witness as Witness<T> | undefined;
    this.#witness = undefined;
    const written = super.write(() => {
      witness?.before?.();
      return work();
    });
    if (witness) void written.then(witness.after, () => {}); // whoever asked hears that it failed
    try {
      return await written;
    } finally {
      await this.#heard;
    }
  }

  /** The next write, if `act` asks for one at once, has a witness. */
  async witnessed<T>(witness: Witness<T>, act: () => Promise<T>): Promise<T> {
    this.#witness = witness;
    const done = act();
    this.#witness = undefined;
    return done;
  }

  /** As `watchCommits`: after commits of others, and after those of this process that are announced. */
  watch(onCommit: () => void): { close(): void } {
    const watcher = this.#world.watchDisk(this.#process, onCommit);
    const unhear = this.onAnnounced(onCommit);
    return {
      close() {
        unhear();
        watcher.close();
      },
    };
  }

  #flush(flush: () => void): void {
    const { disk, dice, journal, post } = this.#world;
    if (this.diesAt === 'before') return this.#die();
    this.#heard = pause(this.#process, dice.between(0, slowest));
    const before = disk.writes;
    flush();
    if (disk.writes === before) return disk.isFull ? void journal.reached.add('full disk') : undefined;
    post.look?.(this.#process);
    this.#world.diskChanged(this.#process);
    if (this.diesAt === 'after') return this.#die();
    return undefined;
  }

  #die(): void {
    this.#world.journal.note(this.#process.name, `dies ${this.diesAt} a write`);
    this.#process.die();
  }
}
