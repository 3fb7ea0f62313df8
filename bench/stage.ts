/**
 * What a worker does with a todo, as far as one stage goes, and nothing else: all is done in this process, and whatever
 * is beyond the stage answers at once. A process of its own, so that no stage warms up the code of another.
 */
import { randomUUIDv7 } from 'node:crypto';
import { openStore } from '../src/cli/compose.ts';
import { quiet } from '../src/cli/log.ts';
import type { RemoteCall } from '../src/engine/definition.ts';
import { driver } from '../src/engine/driver.ts';
import { advance, inputOf as callInputOf, start, wantedCalls } from '../src/engine/interpreter.ts';
import type { Clock } from '../src/engine/run.ts';
import { createTodo } from '../src/machines/create-todo.ts';
import { createRegistry } from '../src/machines/registry.ts';
import type { ConsumerOptions, Queue } from '../src/queue/queue.ts';
import type { WorkerStore } from '../src/store/store.ts';
import { Worker } from '../src/worker/worker.ts';
import { answer } from './child.ts';
import { inputOf, machineRef } from './subject.ts';

export type Stage = 'xstate' | 'engine' | 'loop' | 'store';

const [stage, path, inFlight] = process.argv.slice(2) as [Stage, string, string];
const receipt = { status: 201 };

/** What is asked for in one round of the event loop is answered in the next, together, as it comes from a socket. */
const together = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const remote: RemoteCall = { perform: () => together().then(() => ({ receipt })) };
const registry = createRegistry([createTodo({ sendAlert: remote, sendAudit: remote })]);
const machine = registry.get(machineRef)!;
const clock: Clock = { now: Date.now, random: Math.random };

/** XState's part: the transitions of one run, in memory. */
const driveChart = (id: string): void => {
  let [position] = driver.enter(machine.chart, { id, at: clock.now(), input: inputOf(id) });
  while (position.status === 'active') {
    const [call] = Object.keys(position.children);
    const { local } = machine.calls.get(call!)!;
    const output = local?.(position.context.todo as never, { key: id, now: clock.now() }).output;
    const event = { type: `xstate.done.actor.${call}`, actorId: call, output };
    [position] = driver.move(machine.chart, position, event);
  }
};

/** The engine's: records, histories and keys, with a restart before each answer. */
const runTodo = (id: string): void => {
  let { run } = start(machine, id, inputOf(id), clock);
  for (let [call] = wantedCalls(machine, run); call; [call] = wantedCalls(machine, run)) {
    callInputOf(run, call.id);
    const result = { ok: true, output: undefined, receipt } as const;
    const { id: of, attempt } = call;
    ({ run } = advance(machine, run, { type: 'answered', call: of, attempt, duration: 1, result }, clock)!);
  }
};

/** A store that says yes. */
const instant: WorkerStore = {
  prepare: async () => [],
  join: async () => {},
  renew: async () => ({ held: true, evicted: [] }),
  leave: async () => {},
  resume: async () => [],
  claim: async (_, __, wanted) => wanted.map(() => ({ type: 'unknown' })),
  commit: (_, changes) => together().then(() => changes.map(() => ({ type: 'committed' }))),
  spare: async () => {},
  noteOutages: async () => {},
  prune: async () => 0,
  watch: () => ({ close() {} }),
};

/** Hands out `left` messages, never more at once than a prefetch. */
class Source {
  readonly queue = {
    name: 'memory',
    holdsByLease: false,
    consume: (options: ConsumerOptions) => {
      this.#consumer = options;
      return { stop: async () => {} };
    },
    close: async () => {},
  } as unknown as Queue;
  #consumer: ConsumerOptions | undefined;
  #left = 0;
  #inHand = 0;
  #freed = 0;
  #done = () => {};

  send(count: number): Promise<void> {
    this.#left = count;
    for (let place = 0; place < Number(inFlight); place++) this.#deliver();
    return new Promise((resolve) => (this.#done = resolve));
  }

  #deliver(): void {
    if (this.#left === 0) return;
    this.#left -= 1;
    this.#inHand += 1;
    const id = randomUUIDv7();
    const body = Buffer.from(JSON.stringify(inputOf(id)));
    const lost = () => {
      throw new Error(`the todo ${id} was not done`);
    };
    this.#consumer!.onDelivery({
      message: { id, machine: machineRef, body },
      redelivered: false,
      ack: () => this.#acked(),
      later: lost,
      deadLetter: async () => lost(),
    });
  }

  /** The places of one turn are filled together. */
  #acked(): void {
    this.#inHand -= 1;
    this.#freed += 1;
    if (this.#freed === 1) setImmediate(() => this.#fill());
  }

  #fill(): void {
    const freed = this.#freed;
    this.#freed = 0;
    for (let place = 0; place < freed; place++) this.#deliver();
    if (this.#inHand === 0) this.#done();
  }
}

/** The loop's: messages in, turns, calls, acks; with the store's where there is one. */
const openWorker = async (store: WorkerStore): Promise<(count: number) => Promise<void>> => {
  await store.prepare(registry.machines);
  const source = new Source();
  const concurrency = Number(inFlight);
  await new Worker({
    id: randomUUIDv7(),
    store,
    queue: source.queue,
    registry,
    log: quiet,
    concurrency,
  }).start();
  return (count) => source.send(count);
};

const each = (todo: (id: string) => void) => (count: number) => {
  for (let index = 0; index < count; index++) todo(randomUUIDv7());
};

const stages: Record<Stage, () => Promise<(count: number) => unknown>> = {
  xstate: async () => each(driveChart),
  engine: async () => each(runTodo),
  loop: () => openWorker(instant),
  store: () => openWorker(openStore({ store: path, lease: 15_000 }).store),
};

const perform = await stages[stage]();

answer({
  /** CPU time of one todo, in us. */
  measure: async (count: number): Promise<number> => {
    const before = process.cpuUsage();
    await perform(count);
    const { user, system } = process.cpuUsage(before);
    return (user + system) / count;
  },
  stop: () => {},
});
