/** One cell: bring a worker to the step, strike, let it recover by itself, count. */
import { setTimeout as delay } from 'node:timers/promises';
import { messageOf } from '../../engine/errors.ts';
import type { Run, Transition } from '../../engine/run.ts';
import type { Mark } from '../output/run.ts';
import type { BrokerOutage } from './broker-outage.ts';
import { faults, isCancel, lastRow, moments } from './cells.ts';
import type { Cell } from './cells.ts';
import type { Child } from './child.ts';
import { commitOf, inside } from './points.ts';
import { holderOf, scriptAfter, scriptOf, stopsOf } from './scenario.ts';
import type { Holder } from './scenario.ts';
import { openSite } from './site.ts';
import type { Site, World } from './site.ts';
import { phantomsOf, verdictOf } from './verdict.ts';
import type { Count, Problem } from './verdict.ts';

/** What a run went through, for a person who wants to know why. */
type Story = {
  readonly run: string;
  readonly history: readonly Transition[];
  readonly marks: readonly Mark[];
};

export type Outcome = {
  readonly cell: Cell;
  readonly count: Count;
  /** From the fault until every run was final. */
  readonly seconds: number | undefined;
  /** None, or the cell failed. */
  readonly problems: readonly Problem[];
  readonly story: Story | undefined;
};

/** Several at once, so that the runs of a cell meet the fault in different stages. */
const submissions = 3;

/** How long a worker may take to its step, in ms: on a busy machine its start alone takes seconds. */
const reachMs = 60_000;

/** How long the receiver is away, in ms: calls meet it dead. */
const awayMs = 300;

type Play = {
  readonly cell: Cell;
  readonly world: World;
  readonly site: Site;
  readonly ids: readonly string[];
  readonly worker: Child;
  readonly holder: Holder;
  readonly alertSeen: Promise<void> | undefined;
  readonly outage: BrokerOutage | undefined;
  readonly marks: Mark[];
};

/** How it went until everything was final, or until it did not. */
type Course = {
  readonly seconds: number | undefined;
  readonly early: readonly Problem[];
  readonly failures: readonly Problem[];
};

/** What stands still, and what is yet to be done once the fault has struck. */
type Scene = { readonly release: () => void; readonly afterwards?: () => Promise<void> };

/** @throws only what keeps the cell from being set up. */
export const runCell = async (cell: Cell, world: World, outage?: BrokerOutage): Promise<Outcome> => {
  const seesCalls = world.machine.id === 'create-todo';
  const holder = holderOf(cell, seesCalls);
  const site = await openSite(world, holder === 'receiver');
  try {
    const ids = await site.submit(submissions);
    const alertSeen = holder === 'proxy' ? site.proxy!.withhold(`/${cell.route.calls[0]!.name}`) : undefined;
    const worker = site.startWorker({ stopAt: stopsOf(cell, seesCalls), script: scriptOf(cell.route) });
    return await perform({ cell, world, site, ids, worker, holder, alertSeen, outage, marks: [] });
  } finally {
    await site.close();
  }
};

const perform = async (play: Play): Promise<Outcome> => {
  let early: Problem[] = [];
  try {
    const scene = await within(reachMs, reach(play), 'the worker never came to this point');
    const struck = performance.now();
    await strike(play, scene);
    if (play.cell.fault === 'worker') early = await phantomsNow(play);
    await scene.afterwards?.();
    const worker = await successor(play);
    await within(play.world.patience, play.site.untilFinal(play.ids), 'not every run is final');
    const seconds = (performance.now() - struck) / 1000;
    await empty(play, worker);
    return await judge(play, { seconds, early, failures: [] });
  } catch (error) {
    return judge(play, { seconds: undefined, early, failures: [{ run: undefined, text: messageOf(error) }] });
  }
};

const reach = (play: Play): Promise<Scene> =>
  isCancel(play.cell.route) ? reachCancel(play) : reachStep(play);

const reachStep = async ({ cell, site, worker, holder, alertSeen }: Play): Promise<Scene> => {
  if (holder === 'receiver') {
    await site.receiver.held();
    return { release: () => site.receiver.release() };
  }
  if (holder === 'proxy') {
    await alertSeen;
    return { release: () => site.proxy!.release() };
  }
  await worker.held();
  if (cell.moment === 'draining') await askToLeave(worker);
  return { release: worker.release };
};

/** It stands still at its step, and again in its drain. */
const askToLeave = async (worker: Child): Promise<void> => {
  worker.process.kill('SIGTERM');
  worker.release();
  await worker.held();
};

/** The runs wait in the state before; the step is a person's, in another process. */
const reachCancel = async (play: Play): Promise<Scene> => {
  const { cell, site, ids, worker } = play;
  await site.untilIn(lastRow(cell.route).from!, ids.length);
  for (const { name } of cell.route.callsBefore) await site.untilMade(name, ids.length);
  if (cell.moment === 'before') return { release: () => {}, afterwards: () => cancelAll(play) };
  if (cell.moment === 'inside') return standInCancel(play);
  await cancelAll(play);
  if (cell.moment === 'draining') worker.process.kill('SIGTERM');
  await worker.held();
  return { release: worker.release };
};

const cancelAll = async ({ site, ids }: Play): Promise<void> =>
  void (await site.startCancel({ cancel: ids }).exited);

const standInCancel = async ({ cell, site, ids }: Play): Promise<Scene> => {
  const point = { at: inside(commitOf(lastRow(cell.route))), n: 1, when: 'before' } as const;
  const child = site.startCancel({ cancel: ids, stopAt: [point] });
  await child.held();
  return { release: child.release, afterwards: async () => void (await child.exited) };
};

const strike = async ({ cell, site, worker, outage, marks }: Play, { release }: Scene): Promise<void> => {
  const mark = (text: string) => marks.push({ at: Date.now(), text });
  mark(`${moments[cell.moment]}: ${faults[cell.fault]}`);
  switch (cell.fault) {
    case 'worker':
      worker.process.kill('SIGKILL');
      await worker.exited;
      return release();
    case 'connection':
      site.proxy!.cut();
      return release();
    case 'broker':
      await outage!.strike(release);
      mark('the broker is back');
      return undefined;
    case 'receiver':
      await site.receiver.kill();
      release();
      await delay(awayMs);
      await site.receiver.start({ holds: false });
      mark('the receiver is back');
  }
};

/** The worker itself where it lives on, or another one. */
const successor = async ({ cell, world, site, worker, marks }: Play): Promise<Child> => {
  if (cell.fault !== 'worker' && cell.moment !== 'draining') return worker;
  const { code } = await within(world.patience, worker.exited, 'the worker does not leave');
  if (cell.fault !== 'worker' && code !== 0) throw new Error(`the worker left with exit code ${code}`);
  marks.push({ at: Date.now(), text: 'another worker starts' });
  return site.startWorker({ script: scriptAfter(cell.route) });
};

/** Acks get lost with a connection: then the message comes again, and one more worker acks it. */
const empty = async ({ site, cell, world }: Play, first: Child): Promise<void> => {
  let worker = first;
  for (let tries = 1; tries <= 3; tries++) {
    await within(world.patience, noneReady(site), 'messages stay in the queue');
    await within(world.patience, worker.ready, 'the worker does not start');
    worker.process.kill('SIGTERM');
    const { code, signal } = await within(world.patience, worker.exited, 'the worker does not leave');
    if (code !== 0) throw new Error(`the worker left with ${signal ?? `exit code ${code}`}`);
    if (await staysEmpty(site)) return;
    worker = site.startWorker({ script: scriptAfter(cell.route) });
  }
};

/** A quorum queue takes back what a channel held a moment after the channel is gone, and nobody tells when. */
const staysEmpty = async (site: Site): Promise<boolean> => {
  for (let looks = 1; looks <= 5; looks++) {
    if ((await site.left()).messages > 0) return false;
    await delay(50);
  }
  return true;
};

const noneReady = async (site: Site): Promise<void> => {
  while ((await site.left()).messages > 0) await delay(50);
};

const phantomsNow = async ({ world, site }: Play): Promise<Problem[]> =>
  phantomsOf(world.machine, {
    runs: await runsOf(site),
    todos: site.todos(),
    effects: await site.effects(),
  });

const runsOf = async ({ store }: Site): Promise<Map<string, Run>> =>
  new Map((await store.list({ limit: 1000 })).map((run) => [run.id, run]));

const judge = async (
  { cell, world, site, ids, marks }: Play,
  { seconds, early, failures }: Course,
): Promise<Outcome> => {
  const runs = await runsOf(site);
  const histories = new Map<string, readonly Transition[]>();
  for (const id of runs.keys()) histories.set(id, await site.store.history(id));
  const left = await site.left();
  const { count, problems } = verdictOf(world.machine, {
    accepted: ids,
    end: cell.route.end,
    runs,
    histories,
    todos: site.todos(),
    effects: await site.effects(),
    early,
    left,
  });
  const all = [...failures, ...problems];
  const concerned = all.find(({ run }) => run !== undefined)?.run ?? ids[0]!;
  const story = { run: concerned, history: histories.get(concerned) ?? [], marks };
  return { cell, count, seconds, problems: all, story: all.length > 0 ? story : undefined };
};

const within = async <T>(ms: number, work: Promise<T>, otherwise: string): Promise<T> => {
  const late = new AbortController();
  const tooLate = delay(ms, undefined, { signal: late.signal }).then(() => {
    throw new Error(`${otherwise} within ${ms / 1000} s`);
  });
  tooLate.catch(() => {});
  try {
    return await Promise.race([work, tooLate]);
  } finally {
    late.abort();
  }
};
