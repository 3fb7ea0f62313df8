import { randomUUIDv7 } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { alertsInRabbit, alertsInStore } from '../alert-source.ts';
import { defineCommand } from '../command.ts';
import { isEmbedded, openCatalogue, openQueue, openStore } from '../compose.ts';
import type { OpenQueue } from '../compose.ts';
import type { Transition } from '../../engine/run.ts';
import { exitCodes } from '../exit.ts';
import { print } from '../io.ts';
import type { Io } from '../io.ts';
import { quiet } from '../log.ts';
import { progressBar } from '../output/progress.ts';
import { printTimeline } from '../output/run.ts';
import type { Mark } from '../output/run.ts';
import { paint } from '../output/style.ts';
import { startAuditReceiver } from '../receiver.ts';
import type { AuditReceiver, Received } from '../receiver.ts';
import { brokerSettings } from '../settings.ts';
import type { Settings } from '../settings.ts';
import { accept, checkWish } from '../submission.ts';
import type { Checked } from '../submission.ts';
import { tlsOf } from '../tls.ts';
import { tallyOf } from '../tally.ts';
import type { Effect, Tally } from '../tally.ts';
import { waitUntilFinal } from '../wait.ts';
import { startWorkerProcess } from '../worker-process.ts';
import type { WorkerProcess } from '../worker-process.ts';
import { census } from './census.ts';
import type { Database } from '../../sqlite/database.ts';
import type { Store } from '../../store/store.ts';

const todos = 20;

/** The worker dies when this many audit entries have arrived, before the last of them is answered. */
const crashAfter = 8;

/** How long the receiver thinks about an entry, in ms: so that calls are under way when the worker dies. */
const thinkMs = 40;

const timeoutMs = 60_000;

/** Few calls at a time, so that a crash finds runs in every stage; and no long wait after it. */
const workerSettings = { concurrency: 4, retryCap: 1000, logLevel: 'warn', auditVerify: true } as const;

export const demo = defineCommand({
  name: 'demo',
  summary: 'Submit todos, kill the worker in the middle, start it again, and count what arrived.',
  settings: brokerSettings,
  examples: ['demo', 'demo --queue amqp://guest:guest@localhost'],
  async run({ io, settings }) {
    const folder = await mkdtemp(join(tmpdir(), 'holdfast-demo-'));
    const prefix = `holdfast-demo-${randomUUIDv7().slice(-12)}`;
    try {
      return await stage({ ...settings, store: join(folder, 'holdfast.db'), prefix }, io);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  },
});

type Stage = {
  settings: Settings;
  io: Io;
  db: Database;
  store: Store;
  open: OpenQueue;
  receiver: AuditReceiver;
  crash: Promise<void>;
};

/** Sets the scene, plays, and clears away whatever happens. */
const stage = async (settings: Settings, io: Io): Promise<number> => {
  const { db, store } = openStore(settings);
  const open = openQueue(settings, quiet, db);
  const crash = Promise.withResolvers<void>();
  let arrived = 0;
  const onEntry = async (entry: Received) => {
    if (entry.deliveries === 1) arrived += 1;
    if (arrived >= crashAfter) crash.resolve();
    await delay(thinkMs);
  };
  const receiver = await startAuditReceiver({ onEntry });
  try {
    return await play({ settings, io, db, store, open, receiver, crash: crash.promise });
  } finally {
    await receiver.close();
    await open.amqp?.remove();
    await open.close();
    db.close();
  }
};

const play = async (scene: Stage): Promise<number> => {
  const { io, settings, receiver, crash, store, open } = scene;
  say(
    io,
    `audit receiver on ${receiver.url.origin}, queue ${isEmbedded(settings) ? 'embedded in the store' : open.queue.name}`,
  );
  const first = startWorkerProcess({ ...settings, ...workerSettings, auditUrl: receiver.url });
  const wishes = await submitTodos(scene).catch(endWith(first));
  await Promise.race([crash, first.failed, interruption(io)]).catch(endWith(first));
  await first.crash();
  const killed = { at: Date.now(), text: 'worker killed (SIGKILL)' };
  say(io, `worker killed with SIGKILL: ${await progress(store)}`);
  const second = startWorkerProcess({ ...settings, ...workerSettings, auditUrl: receiver.url });
  const restarted = { at: Date.now(), text: 'worker started again' };
  say(io, 'worker started again');
  await Promise.race([allFinal(scene, wishes), second.failed]).catch(endWith(second));
  say(io, `all final ${((Date.now() - restarted.at) / 1000).toFixed(1)} s later`);
  const tally = await count(scene, wishes);
  await second.drain();
  await show(scene, tally, [killed, restarted]);
  return tally.lost + tally.phantom + tally.doubled === 0 ? exitCodes.done : exitCodes.failed;
};

/** A child must not outlive a scene that fails. */
const endWith =
  (worker: WorkerProcess) =>
  async (error: unknown): Promise<never> => {
    await worker.crash();
    throw error;
  };

const interruption = (io: Io): Promise<never> =>
  new Promise((_, reject) => {
    io.interrupted.addEventListener('abort', () => reject(new Error('interrupted')), { once: true });
  });

const submitTodos = async ({ io, settings, open }: Stage): Promise<Checked[]> => {
  const registry = await openCatalogue(settings);
  const bar = progressBar(io, 'submitted');
  const wishes: Checked[] = [];
  for (let number = 1; number <= todos; number++) {
    const wish = checkWish(registry, {
      machine: 'create-todo',
      input: { title: `Todo ${number} of ${todos}` },
    });
    await accept(open.queue, undefined, wish);
    bar.update(wishes.push(wish), todos);
  }
  bar.end();
  say(io, `${wishes.length} todos submitted and accepted`);
  return wishes;
};

const allFinal = async ({ io, settings }: Stage, wishes: Checked[]): Promise<void> => {
  const bar = progressBar(io, 'final');
  let final = 0;
  const options = { store: settings.store, timeout: timeoutMs, io };
  await waitUntilFinal(wishes, options, () => bar.update(++final, wishes.length)).finally(() => bar.end());
};

const progress = async (store: Store): Promise<string> => {
  const rows = await store.census();
  const counted = (isDone: boolean) =>
    rows.filter(({ status }) => (status === 'done') === isDone).reduce((sum, row) => sum + row.count, 0);
  const [done, underWay] = [counted(true), counted(false)];
  return `${done} done, ${underWay} under way, ${todos - done - underWay} in the queue`;
};

/** At the receiving ends: the todos table, the alerts that were sent, the entries that the receiver has. */
const count = async ({ db, store, settings, open, receiver }: Stage, wishes: Checked[]): Promise<Tally> => {
  const broker = { url: settings.queue, tls: tlsOf(settings), log: quiet };
  const source = open.amqp ? alertsInRabbit({ ...broker, ...open.amqp }) : alertsInStore(db, store);
  const { alerts } = await source.read(100 * todos);
  return tallyOf({
    accepted: wishes.map(({ id }) => id),
    todos: db.all<{ id: string }>('SELECT id FROM todos').map(({ id }) => id),
    alerts: alerts.map(({ key, event }): Effect => ({ key, todo: (event as { subject: string }).subject })),
    audits: [...receiver.received.values()].flatMap(({ key, body, deliveries }) => {
      const effect: Effect = { key, todo: (body as { todo: { id: string } }).todo.id };
      return Array.from({ length: deliveries }, () => effect);
    }),
  });
};

const show = async ({ io, store }: Stage, tally: Tally, marks: Mark[]): Promise<void> => {
  heading(io, 'Census');
  await census({ archive: store, io }, { output: 'table' });
  const histories = await historiesOf(store);
  const inDoubt = histories.filter(({ history }) => history.some(wasInDoubt));
  const { id, history } = (inDoubt[0] ?? histories[0])!;
  heading(io, `Timeline of ${id}, which went through the crash`);
  printTimeline(io, history, marks);
  heading(io, 'Counted at the receiving ends, by key');
  print(
    io,
    `${tally.accepted} submitted, ${tally.todos} todos, ${tally.alerts} alerts, ${tally.audits} audits`,
  );
  print(io, paint(io, 'green', `${tally.lost} lost, ${tally.phantom} phantom, ${tally.doubled} doubled`));
  print(
    io,
    `${inDoubt.length} audits were in doubt after the crash; the receiver was asked, and had them already`,
  );
  print(io, `${tally.repeats} deliveries were repeats under their own key, which a receiver drops`);
};

type History = { readonly id: string; readonly history: readonly Transition[] };

const historiesOf = async (store: Store): Promise<History[]> => {
  const runs = await store.list({ limit: todos });
  return Promise.all(runs.map(async ({ id }) => ({ id, history: await store.history(id) })));
};

/** Its worker died after the effect and before it could write that down. */
const wasInDoubt = ({ receipt }: Transition): boolean => receipt?.['verified'] === true;

const heading = (io: Io, text: string): void => print(io, `\n${paint(io, 'bold', text)}`);

const say = (io: Io, text: string): void => print(io, `${paint(io, 'dim', '·')} ${text}`);
