import { execFileSync } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import { startWorkerProcess } from '../src/cli/worker-process.ts';
import type { WorkerProcess, WorkerProcessSettings } from '../src/cli/worker-process.ts';
import { guard } from '../src/cli/broker/watchdog.ts';

/** How long a supervisor waits before it starts a worker again that ended by itself, in ms. */
const restartMs = 500;

/** Several workers on one store and one queue, each started again whenever it ends, as a supervisor does. */
export class Fleet {
  readonly #settings: WorkerProcessSettings;
  readonly #workers: WorkerProcess[] = [];
  /** What those said last that ended by themselves. */
  readonly ended: string[] = [];
  #canWrite = true;
  #closed = false;

  constructor(settings: WorkerProcessSettings, count: number) {
    this.#settings = settings;
    for (let place = 0; place < count; place++) this.#start(place);
  }

  /** With false the kernel refuses every write of every worker to a file (EFBIG), as a full disk does. */
  letWrite(canWrite: boolean): void {
    this.#canWrite = canWrite;
    for (const { pid } of this.#workers) limitFiles(pid, canWrite);
  }

  async kill(place: number): Promise<void> {
    await this.#workers[place]!.crash();
    if (!this.#closed) this.#start(place);
  }

  /** One that is killed meanwhile stays dead. */
  async pause(place: number, lasts: number, signal: AbortSignal): Promise<void> {
    const worker = this.#workers[place]!;
    worker.signal('SIGSTOP');
    await delay(lasts, undefined, { signal }).catch(() => {});
    worker.signal('SIGCONT');
  }

  async drain(): Promise<void> {
    this.#closed = true;
    await Promise.all(this.#workers.map((worker) => worker.drain()));
  }

  async crash(): Promise<void> {
    this.#closed = true;
    await Promise.all(this.#workers.map((worker) => worker.crash()));
  }

  #start(place: number): void {
    const worker = startWorkerProcess(this.#settings);
    if (!this.#canWrite) limitFiles(worker.pid, false);
    const dismiss = guard([worker.pid]);
    void worker.gone.then(dismiss);
    this.#workers[place] = worker;
    worker.failed.catch(async (error: Error) => {
      this.ended.push(error.message);
      await delay(restartMs);
      if (!this.#closed) this.#start(place);
    });
  }
}

/** What `ulimit -f` sets, for a process that runs: only the soft limit, which needs no privilege. */
const limitFiles = (pid: number, canWrite: boolean): void => {
  try {
    execFileSync('prlimit', ['--pid', `${pid}`, `--fsize=${canWrite ? 'unlimited' : 1}:`], {
      stdio: 'ignore',
    });
  } catch {
    // It has just been killed.
  }
};

/** True where the disk can be made to refuse: on Linux. */
export const canLimitFiles = (): boolean => {
  try {
    execFileSync('prlimit', ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
};
