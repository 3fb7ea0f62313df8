/** What happens to the machine while the soak runs: decided beforehand by a seed. All times in ms since the start. */
import { Dice } from '../sim/dice.ts';

const receiverMoods = ['refusing', 'mute', 'gone'] as const;
/**
 * - `refusing`: answers 503 and takes nothing
 * - `mute`: takes the entry and hangs up without an answer
 * - `gone`: nobody listens on its port
 */
export type ReceiverMood = (typeof receiverMoods)[number];

export type Fault =
  /** SIGKILL to a worker, which is started again at once. */
  | { readonly type: 'kill'; readonly at: number; readonly worker: number }
  /** SIGSTOP to a worker, and SIGCONT after `lasts`. */
  | { readonly type: 'pause'; readonly at: number; readonly lasts: number; readonly worker: number }
  /** SIGKILL to the broker, which is started again after `lasts`. */
  | { readonly type: 'broker'; readonly at: number; readonly lasts: number }
  | { readonly type: 'receiver'; readonly at: number; readonly lasts: number; readonly mood: ReceiverMood }
  /** No worker can write to the disk. */
  | { readonly type: 'disk'; readonly at: number; readonly lasts: number };

export type FaultType = Fault['type'];

export type PlanOptions = {
  readonly seed: number;
  readonly seconds: number;
  readonly workers: number;
  /** The faults that are possible here. */
  readonly types: ReadonlySet<FaultType>;
};

/** The faults in the order in which they begin; the same for the same options. */
export const faultPlan = ({ seed, seconds, workers, types }: PlanOptions): Fault[] => {
  const end = seconds * 1000;
  const dice = new Dice(seed);
  const between = (least: number, most: number) => dice.between(least, Math.round(most));
  const worker = () => between(0, workers - 1);
  const series = (gap: () => number, make: (at: number) => Fault): Fault[] => {
    const faults: Fault[] = [];
    for (let at = Math.min(gap(), end / 3); at < end; at += gap()) faults.push(make(Math.round(at)));
    return faults;
  };
  const ofWorkers = series(
    () => between(2000, 5000),
    (at) =>
      dice.roll() < 0.2
        ? { type: 'pause', at, worker: worker(), lasts: between(500, 8000) }
        : { type: 'kill', at, worker: worker() },
  );
  const ofReceiver = series(
    () => between(8000, 20_000),
    (at) => ({
      type: 'receiver',
      at,
      lasts: between(300, Math.min(4000, end / 4)),
      mood: receiverMoods[between(0, receiverMoods.length - 1)]!,
    }),
  );
  const ofBroker = series(
    () => between(50_000, 70_000),
    (at) => ({ type: 'broker', at, lasts: between(0, 3000) }),
  );
  const ofDisk: Fault = { type: 'disk', at: end / 2, lasts: Math.min(5000, end / 6) };
  return [...ofWorkers, ...ofReceiver, ...ofBroker, ofDisk]
    .filter(({ type }) => types.has(type))
    .toSorted((one, two) => one.at - two.at);
};

/** As it stands in the report and in a timeline. */
export const describeFault = (fault: Fault): string => {
  switch (fault.type) {
    case 'kill':
      return `worker ${fault.worker} killed (SIGKILL), another one started`;
    case 'pause':
      return `worker ${fault.worker} stopped (SIGSTOP) for ${seconds(fault.lasts)}`;
    case 'broker':
      return `broker killed (SIGKILL), started again after ${seconds(fault.lasts)}`;
    case 'receiver':
      return `audit receiver ${fault.mood} for ${seconds(fault.lasts)}`;
    case 'disk':
      return `the disk refuses all writes for ${seconds(fault.lasts)}`;
  }
};

const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;
