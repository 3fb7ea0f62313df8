import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { forkChild, programOf } from './child.ts';

export type ReceiverPlan = {
  readonly port: number;
  readonly file: string;
  /** The first entry is neither written down nor answered until it is released. */
  readonly holds: boolean;
};

/** An audit receiver in a process of its own, so that it really dies. */
export class ReceiverChild {
  readonly #file: string;
  #child: ChildProcess | undefined;
  #held = Promise.withResolvers<void>();
  #port = 0;

  constructor(file: string) {
    this.#file = file;
  }

  /** Resolves when it listens: each time on the same port. */
  async start({ holds }: { holds: boolean }): Promise<URL> {
    const child = forkChild(programOf('receiver-program'), ['ignore', 'inherit', 'inherit', 'ipc']);
    this.#child = child;
    child.send({ port: this.#port, file: this.#file, holds } satisfies ReceiverPlan);
    [{ port: this.#port }] = (await once(child, 'message')) as [{ port: number }];
    child.once('message', () => this.#held.resolve());
    return new URL(`http://127.0.0.1:${this.#port}/audit`);
  }

  /** Resolves when an entry is in its hands. */
  held(): Promise<void> {
    return this.#held.promise;
  }

  release(): void {
    if (this.#child?.connected) this.#child.send('release', () => {});
  }

  /** SIGKILL. Resolves when it is gone. */
  async kill(): Promise<void> {
    const child = this.#child;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  }

  /** What was written down: a repeat is an entry of its own. */
  entries(): { key: string; run: string }[] {
    return readLines(this.#file);
  }
}

/** A file of JSON lines; none where there is no file yet. */
export const readLines = <T>(file: string): T[] =>
  existsSync(file)
    ? readFileSync(file, 'utf8')
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line) as T)
    : [];
