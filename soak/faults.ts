import { setTimeout as delay } from 'node:timers/promises';
import type { Mark } from '../src/cli/output/run.ts';
import type { Fleet } from './fleet.ts';
import { describeFault } from './plan.ts';
import type { Fault, FaultType } from './plan.ts';
import type { Site } from './site.ts';

/** Does what the plan says, and remembers what was done when. */
export class Faults {
  readonly #site: Pick<Site, 'broker' | 'receiver'>;
  readonly #fleet: Fleet;
  readonly done: (Mark & { readonly type: FaultType })[] = [];

  constructor(site: Pick<Site, 'broker' | 'receiver'>, fleet: Fleet) {
    this.#site = site;
    this.#fleet = fleet;
  }

  /** Resolves when everything works again: after the last fault, or soon after `signal` aborts. */
  async inflict(plan: readonly Fault[], signal: AbortSignal): Promise<void> {
    const began = performance.now();
    const running: Promise<void>[] = [];
    for (const fault of plan) {
      await pause(began + fault.at - performance.now(), signal);
      if (signal.aborted) break;
      this.done.push({ type: fault.type, at: Date.now(), text: describeFault(fault) });
      const performing = this.#perform(fault, signal);
      performing.catch(() => {}); // met below
      running.push(performing);
    }
    await Promise.all(running);
  }

  /** How many of a kind were done. */
  count(type: FaultType): number {
    return this.done.filter((mark) => mark.type === type).length;
  }

  async #perform(fault: Fault, signal: AbortSignal): Promise<void> {
    const { broker, receiver } = this.#site;
    switch (fault.type) {
      case 'kill':
        return this.#fleet.kill(fault.worker);
      case 'pause':
        return this.#fleet.pause(fault.worker, fault.lasts, signal);
      case 'broker':
        await broker!.kill();
        await pause(fault.lasts, signal);
        return broker!.start();
      case 'receiver':
        await receiver.ask('mood', fault.mood);
        await pause(fault.lasts, signal);
        return receiver.ask('mood', 'up');
      case 'disk':
        this.#fleet.letWrite(false);
        await pause(fault.lasts, signal);
        return this.#fleet.letWrite(true);
    }
  }
}

/** Ends early, and well, when `signal` aborts. */
const pause = async (ms: number, signal: AbortSignal): Promise<void> => {
  await delay(Math.max(0, ms), undefined, { signal }).catch(() => {});
};
