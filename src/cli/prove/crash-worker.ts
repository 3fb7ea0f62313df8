/**
 * A worker that stands still at a point, until its parent has done its worst and lets it go on. It is put
 * together as the real one is, by src/cli/compose.ts, but every port is wrapped.
 */
import { once } from 'node:events';
import { appendFileSync, readSync, writeSync } from 'node:fs';
import { assemble, openPorts } from '../compose.ts';
import type { Ports, WorkerSettings } from '../compose.ts';
import { quiet } from '../log.ts';
import { checkpoint, wrapPorts } from './points.ts';
import type { Point } from './points.ts';
import type { Script } from './script.ts';

export type Plan = {
  readonly settings: WorkerSettings;
  readonly stopAt?: readonly Point[] | undefined;
  readonly script?: Script | undefined;
  /** A file that gets a line of JSON for each effect that took place. */
  readonly effects?: string | undefined;
  /** The runs that a person cancels. */
  readonly cancel?: readonly string[] | undefined;
};

/** What it says when it can be asked to leave, and when it stands at its point. */
export const readyWord = 'ready';
export const heldWord = 'held';

/** How often a pipe is asked that does not block, in ms. */
const askMs = 5;

/**
 * Runs the worker that the parent's first message asks for. On SIGTERM it drains, then prints how often each
 * point was passed. It ends with its parent at the latest. `plant` puts a fault into it, for proving the proof.
 */
export const runCrashWorker = async (plant = (ports: Ports): Ports => ports): Promise<void> => {
  const plan = await receivePlan();
  const leaving = new AbortController();
  const { counts, pass } = checkpoint(plan.stopAt ?? [], standStill);
  const ports = wrapPorts(plant(await openPorts(plan.settings, quiet)), {
    pass,
    script: plan.script ?? {},
    calls: { release: leaving.signal, onEffect: (effect) => note(plan.effects, effect) },
    isDraining: () => leaving.signal.aborted,
  });
  const open = await assemble(ports, plan.settings, quiet);
  process.once('SIGTERM', () => {
    leaving.abort();
    void open.close().then(() => process.stdout.write(JSON.stringify(counts), () => process.exit(0)));
  });
  writeSync(1, `${readyWord}\n`);
  await open.worker.start();
};

/** The plan comes as a message, not as an argument, because a queue's URL has a password in it. */
export const receivePlan = async (): Promise<Plan> => {
  process.once('disconnect', () => process.exit(1));
  const [plan] = (await once(process, 'message')) as [Plan];
  return { ...plan, settings: { ...plan.settings, auditUrl: new URL(plan.settings.auditUrl) } };
};

/** Nothing of this process goes on until the parent writes a byte; at its end this one ends. */
export const standStill = (): void => {
  writeSync(1, `${heldWord}\n`);
  if (readByte() === 0) process.exit(1);
};

/** A pipe that does not block says so: then it is asked again. */
const readByte = (): number => {
  for (;;) {
    try {
      return readSync(0, Buffer.alloc(1));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, askMs);
    }
  }
};

const note = (file: string | undefined, effect: object): void => {
  if (file !== undefined) appendFileSync(file, `${JSON.stringify(effect)}\n`);
};
