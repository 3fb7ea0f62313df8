import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { setup } from 'xstate';
import { z } from 'zod';
import { testClock } from '../../test/harness/engine.ts';
import { call } from '../engine/definition.ts';
import type { Definition, RemoteCall } from '../engine/definition.ts';
import { PermanentError, TransientError } from '../engine/errors.ts';
import { start } from '../engine/interpreter.ts';
import { createTodo } from '../machines/create-todo.ts';
import { createRegistry } from '../machines/registry.ts';
import type { ConsumerOptions, Delivery, Queue } from '../queue/queue.ts';
import { openDatabase } from '../sqlite/database.ts';
import { gone } from '../sqlite/errors.ts';
import { SqliteStore } from '../store/sqlite/sqlite-store.ts';
import type { Store } from '../store/store.ts';
import { eventLoop } from './scheduler.ts';
import { Worker } from './worker.ts';
import type { WorkerOptions } from './worker.ts';

type Told = { what: string; run?: string };

const silent = { debug() {}, info() {}, warn() {}, error() {} };

/** A queue that a test feeds by hand, and which notes how each delivery is settled. */
const handFed = (told: Told[], holdsByLease: boolean) => {
  let consumer: ConsumerOptions | undefined;
  const settled = (id: string, what: string, broken: boolean) => {
    told.push({ what, run: id });
    if (broken) throw new Error('the channel is closed');
  };
  const queue = {
    name: 'by hand',
    holdsByLease,
    consume: (options: ConsumerOptions) => {
      consumer = options;
      return { stop: async () => {} };
    },
    close: async () => {},
  } as unknown as Queue;
  const deliver = (
    id: string,
    body: unknown,
    { machine = 'create-todo', redelivered = false, broken = false } = {},
  ) => {
    const delivery: Delivery = {
      message: {
        id,
        machine,
        body: typeof body === 'string' ? Buffer.from(body) : Buffer.from(JSON.stringify(body)),
      },
      redelivered,
      ack: () => settled(id, 'ack', broken),
      later: () => settled(id, 'later', broken),
      deadLetter: async (error) => settled(id, `dead: ${error}`, broken),
    };
    consumer!.onDelivery(delivery);
  };
  return { queue, deliver, lost: () => consumer!.onLost() };
};

type Script = {
  sendAlert?: RemoteCall['perform'];
  verifyAlert?: RemoteCall['verify'];
  sendAudit?: RemoteCall['perform'];
};

const begin = async (
  script: Script = {},
  change: Partial<WorkerOptions> & {
    wrap?: (store: Store) => Store;
    machines?: Definition[];
    holdsByLease?: boolean;
  } = {},
) => {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-'));
  const db = openDatabase(join(folder, 'store.db'));
  const store = new SqliteStore(db);
  const told: Told[] = [];
  const { queue, deliver, lost } = handFed(told, change.holdsByLease ?? false);
  const noted = (name: string, perform: RemoteCall['perform'] = async () => ({})): RemoteCall => ({
    perform: (input, context) => {
      told.push({ what: name, run: context.key });
      return perform(input, context);
    },
  });
  const definition = createTodo({
    sendAlert: {
      ...noted('alert', script.sendAlert),
      ...(script.verifyAlert && { verify: script.verifyAlert }),
    },
    sendAudit: noted('audit', script.sendAudit),
  });
  const { wrap = (same) => same, machines = [], ...options } = change;
  const registry = createRegistry([definition, ...machines]);
  await store.prepare(registry.machines);
  const worker = new Worker({ id: 'w', store: wrap(store), queue, registry, log: silent, ...options });
  onTestFinished(async () => {
    await worker.drain();
    db.close();
    rmSync(folder, { recursive: true });
  });
  await worker.start();
  const whats = () => told.map(({ what }) => what);
  const see = (what: string, times = 1) =>
    vi.waitFor(() => expect(whats().filter((one) => one.startsWith(what))).toHaveLength(times), {
      timeout: 5000,
      interval: 5,
    });
  /** Unfinished runs of another worker. */
  const others = async (...ids: string[]) => {
    await store.join('other');
    const clock = testClock();
    const machine = registry.resolve('create-todo')!;
    await store.commit(
      'other',
      ids.map((id) => ({ ...start(machine, id, milk, clock), expected: null })),
    );
  };
  return { worker, store, db, deliver, lost, told, whats, see, others };
};

/** A scheduler whose clock a test can put forward. */
const shifted = () => {
  const scheduler = { ...eventLoop, ahead: 0, monotonic: () => performance.now() + scheduler.ahead };
  return scheduler;
};

/** A call that goes on until the test is over. */
const endless = () => {
  const over = Promise.withResolvers<object>();
  return { perform: () => over.promise, end: () => over.resolve({}) };
};

const milk = { title: 'Buy milk' };

/** A store of which some methods are others. */
const replacing =
  (replace: (store: Store) => Partial<Store>) =>
  (store: Store): Store => {
    const replaced = replace(store);
    return new Proxy(store, {
      get: (target, name) => {
        if (name in replaced) return Reflect.get(replaced, name) as unknown;
        const member = Reflect.get(target, name, target) as unknown;
        return typeof member === 'function' ? (member.bind(target) as unknown) : member;
      },
    });
  };

/** A store whose commits can be told to fail, and which says when they happen. */
const wrapCommit = (
  commit: (store: Store, ...args: Parameters<Store['commit']>) => ReturnType<Store['commit']>,
) => replacing((store) => ({ commit: (...args) => commit(store, ...args) }));

/** A machine of one call, which is tried again after a delay. */
const pinging = ({
  input = z.object({}),
  perform = async () => ({}),
  delay = () => 1,
  version = '1',
}: {
  input?: z.ZodType;
  perform?: RemoteCall['perform'];
  delay?: () => number;
  version?: string;
}): Definition => ({
  machine: setup({ actors: { ping: call<void, object>() }, delays: { backoff: delay } }).createMachine({
    id: 'ping',
    version,
    initial: 'pinging',
    states: {
      pinging: { invoke: { src: 'ping', input: {}, onDone: 'done', onError: 'waiting' } },
      waiting: { after: { backoff: 'pinging' } },
      done: { type: 'final' },
    },
  }),
  input,
  remote: { ping: { perform } },
});

const ping = { machine: 'ping' };

/** Another worker, for whose clock every lease has run out: what it sees after a pause of this process. */
const loseLease = async (path: string) => {
  const db = openDatabase(path);
  await new SqliteStore(db, () => Date.now() + 20_000).renew('x');
  db.close();
};

describe('a delivery', () => {
  test('is acked once, after the commit that made its run final', async () => {
    const committed: string[] = [];
    const { deliver, told, see, whats } = await begin(
      {},
      {
        wrap: wrapCommit(async (store, worker, changes) => {
          const outcomes = await store.commit(worker, changes);
          for (const { run } of changes) told.push({ what: `committed ${run.state}`, run: run.id });
          committed.push('turn');
          return outcomes;
        }),
      },
    );
    deliver('r1', milk);
    await see('ack');
    expect(whats()).toEqual([
      'committed sendingAlert',
      'alert',
      'committed sendingAudit',
      'audit',
      'committed done',
      'ack',
    ]);
    expect(committed).toHaveLength(3);
  });

  test('of a run that is final is acked at once, and nothing runs', async () => {
    const { deliver, see, whats } = await begin();
    deliver('r1', milk);
    await see('ack');
    deliver('r1', milk, { redelivered: true });
    await see('ack', 2);
    expect(whats().filter((what) => what === 'audit')).toHaveLength(1);
  });

  test('joins the run that is under way: several are acked together', async () => {
    const answer = Promise.withResolvers<object>();
    const { deliver, see, whats } = await begin({ sendAudit: () => answer.promise });
    deliver('r1', milk);
    deliver('r1', milk);
    await see('audit');
    deliver('r1', milk, { redelivered: true });
    answer.resolve({});
    await see('ack', 3);
    expect(whats().filter((what) => what === 'alert')).toHaveLength(1);
  });

  test('with another input is dead-lettered as a conflict, in the same turn as in a later one', async () => {
    const { deliver, see, told } = await begin();
    deliver('r1', milk);
    deliver('r1', { title: 'Buy bread' });
    await see('ack');
    deliver('r1', { title: 'Buy beer' });
    await see('dead: conflict', 2);
    expect(told.find(({ what }) => what.startsWith('dead'))!.what).toContain(
      'title: "Buy milk" is known, "Buy bread" was sent',
    );
  });

  test('that names no machine of this worker waits', async () => {
    const { deliver, see } = await begin();
    deliver('r1', milk, { machine: 'create-todo@2' });
    await see('later');
  });

  test('of a run that waits long is handed back with it, and the run goes on when it is due', async () => {
    let calls = 0;
    const { deliver, see, store, whats, worker } = await begin({
      sendAudit: async () => {
        calls += 1;
        if (calls === 1) throw new TransientError('busy', { retryAfter: 3500 });
        return {};
      },
    });
    deliver('r1', milk);
    await see('later');
    expect(worker.inHand).toBe(0);
    const { dueAt } = (await store.get('r1'))!;
    deliver('r1', milk); // a lap later, and early
    await see('later', 2);
    await see('audit', 2);
    expect(Date.now()).toBeGreaterThanOrEqual(dueAt!);
    expect(Date.now()).toBeLessThan(dueAt! + 500);
    await vi.waitFor(async () => expect((await store.get('r1'))!.status).toBe('done'), { timeout: 5000 });
    expect(whats()).not.toContain('ack');
  });

  test('of a run that waits shortly stays in hand', async () => {
    let calls = 0;
    const { deliver, see, whats } = await begin({
      sendAudit: async () => {
        calls += 1;
        if (calls < 3) throw new TransientError('busy');
        return {};
      },
    });
    deliver('r1', milk);
    await see('ack');
    expect(whats()).not.toContain('later');
  });

  test('that was in hand for a minute is handed back although its call goes on', async () => {
    const scheduler = shifted();
    const { perform, end } = endless();
    const { deliver, see } = await begin({ sendAudit: perform }, { scheduler, callTimeout: 1_000_000 });
    onTestFinished(end);
    deliver('r1', milk);
    await see('audit');
    scheduler.ahead += 61_000;
    await see('later');
  });

  test('gives its place up after two seconds when every place is taken', async () => {
    const scheduler = shifted();
    const { perform, end } = endless();
    const { deliver, see, whats } = await begin(
      { sendAudit: perform },
      { scheduler, concurrency: 2, callTimeout: 1_000_000 },
    );
    onTestFinished(end);
    deliver('r1', milk);
    await see('audit');
    scheduler.ahead += 3000;
    deliver('r2', milk);
    await see('audit', 2);
    await see('later', 1);
    expect(whats().filter((what) => what === 'later')).toHaveLength(1);
  });

  test('is forgotten with its channel, and its successor is acked', async () => {
    const answer = Promise.withResolvers<object>();
    const { deliver, lost, see, told } = await begin({ sendAudit: () => answer.promise });
    deliver('r1', milk);
    await see('audit');
    lost();
    deliver('r1', milk, { redelivered: true });
    answer.resolve({});
    await see('ack');
    expect(told.filter(({ what }) => what === 'ack')).toHaveLength(1);
  });
});

describe('a delivery that throws when it is settled holds up no other one', () => {
  test('of its run, nor a run of its turn', async () => {
    const { deliver, told, see } = await begin();
    deliver('r1', milk, { broken: true });
    deliver('r1', milk);
    deliver('r2', milk);
    await see('ack', 3);
    expect(told.filter(({ what }) => what === 'alert' || what === 'audit')).toHaveLength(4);
    deliver('r3', milk);
    await see('ack', 4);
  });

  test('that is handed back with it', async () => {
    const { deliver, told, see } = await begin({
      sendAudit: () => Promise.reject(new TransientError('busy', { retryAfter: 60_000 })),
    });
    deliver('r1', milk, { broken: true });
    deliver('r1', milk);
    await see('later', 2);
    deliver('r2', { title: 'Buy bread' }, { machine: 'unknown', broken: true });
    deliver('r3', milk);
    await see('later', 4);
    expect(told.filter(({ what }) => what === 'audit')).toHaveLength(2);
  });
});

test('a record that is damaged fails its own run with the reason, and holds up no other', async () => {
  const { store, db, deliver, see, told, others } = await begin();
  await others('r1', 'r2');
  await db.write(() => {
    db.run(`UPDATE runs SET snapshot = '{"children":' WHERE id = 'r1'`);
    db.run(`DELETE FROM workers WHERE id = 'other'`);
  });
  deliver('r1', milk);
  await see('audit');
  await see('ack');
  expect(told.map(({ what, run }) => `${what} ${run}`).toSorted()).toEqual([
    'ack r1',
    'alert r2/sendAlert',
    'audit r2/sendAudit',
  ]);
  expect(await store.get('r1')).toMatchObject({
    status: 'failed',
    failedIn: 'sendingAlert',
    reason: expect.stringMatching(/^its record cannot be followed: .*JSON/),
  });
});

describe('a redelivered message of a run that another worker holds', () => {
  test('takes the run where only the queue knows that a holder is gone', async () => {
    const { deliver, others, see } = await begin();
    await others('r1');
    deliver('r1', milk, { redelivered: true });
    await see('ack');
  });

  test('leaves it alone where the lease says that its holder lives', async () => {
    const { deliver, others, see, whats } = await begin({}, { holdsByLease: true });
    await others('r1');
    deliver('r1', milk, { redelivered: true });
    await see('later');
    expect(whats()).toEqual(['later']);
  });
});

describe('a store that refuses a commit', () => {
  test('delays everything and loses nothing', async () => {
    let failures = 2;
    const { deliver, see, whats } = await begin(
      {},
      {
        wrap: wrapCommit((store, worker, changes) =>
          failures-- > 0 ? Promise.reject(new Error('disk full')) : store.commit(worker, changes),
        ),
      },
    );
    deliver('r1', milk);
    deliver('r2', milk);
    await see('ack', 2);
    expect(whats().filter((what) => what === 'audit')).toHaveLength(2);
  });

  test('lets no call begin whose record is not kept', async () => {
    let fails = true;
    const { deliver, see, whats } = await begin(
      {},
      {
        wrap: wrapCommit((store, worker, changes) =>
          fails ? Promise.reject(new Error('disk full')) : store.commit(worker, changes),
        ),
      },
    );
    const tried = vi.waitFor(() => expect(fails).toBe(false), { timeout: 5000 });
    deliver('r1', milk);
    setTimeout(() => (fails = false), 700);
    await tried;
    expect(whats()).toEqual([]);
    await see('ack');
  });

  test('does not keep a worker from draining', async () => {
    const { deliver, worker } = await begin(
      {},
      { wrap: wrapCommit(() => Promise.reject(new Error('disk full'))) },
    );
    deliver('r1', milk);
    await worker.drain();
  });
});

test('a store that is gone keeps no worker from draining, whoever waits for a turn just then', async () => {
  const looked = Promise.withResolvers<void>();
  let isCommitting = false;
  const wrap = replacing((store) => ({
    resume: async (...args) => {
      if (isCommitting) setImmediate(looked.resolve); // when the look waits for what it found to be dealt with
      return store.resume(...args);
    },
    commit: async () => {
      isCommitting = true;
      await looked.promise;
      throw gone('store.db');
    },
  }));
  const { worker, deliver, whats } = await begin({}, { wrap });
  deliver('one', milk);
  await expect(worker.broken).rejects.toThrow('deleted or replaced');
  await worker.drain();
  expect(whats()).toEqual([]);
});

test('a write that the database refuses fails its run with the reason, and no other', async () => {
  const { deliver, see, store, db } = await begin();
  await db.write(() =>
    db.exec(
      "CREATE TRIGGER strict BEFORE INSERT ON todos WHEN new.title = 'bad' BEGIN SELECT raise(ABORT, 'no bad todos'); END",
    ),
  );
  deliver('r1', { title: 'bad' });
  deliver('r2', milk);
  await see('ack', 2);
  expect(await store.get('r1')).toMatchObject({
    status: 'failed',
    failedIn: 'saving',
    reason: expect.stringContaining('no bad todos') as string,
  });
  expect(await store.get('r2')).toMatchObject({ status: 'done' });
  expect((await store.history('r1')).map(({ seq }) => seq)).toEqual([1, 2]);
});

test('a store that refuses even the failure of a run is asked again now and then, until it takes it', async () => {
  let commits = 0;
  const { deliver, see, store, db } = await begin(
    {},
    {
      wrap: wrapCommit((target, worker, changes) => {
        commits += 1;
        return target.commit(worker, changes);
      }),
    },
  );
  await db.write(() =>
    db.exec("CREATE TRIGGER strict BEFORE INSERT ON transitions BEGIN SELECT raise(ABORT, 'none'); END"),
  );
  deliver('r1', milk);
  await vi.waitFor(() => expect(commits).toBe(3), { timeout: 5000 });
  await db.write(() => db.exec('DROP TRIGGER strict'));
  await see('ack');
  expect(await store.get('r1')).toMatchObject({
    status: 'failed',
    reason: expect.stringContaining('none') as string,
  });
  expect(commits).toBeLessThan(10);
});

test('a permanent error fails the run, and its delivery is acked', async () => {
  const { deliver, see, store } = await begin({
    sendAudit: async () => {
      throw new PermanentError('HTTP 422', { receipt: { status: 422 } });
    },
  });
  deliver('r1', milk);
  await see('ack');
  expect(await store.get('r1')).toMatchObject({
    status: 'failed',
    reason: 'HTTP 422',
    failedIn: 'sendingAudit',
  });
});

test('a call that never answers is given up, and retried under its key', async () => {
  let calls = 0;
  const { deliver, see, told } = await begin(
    { sendAudit: () => (++calls === 1 ? new Promise(() => {}) : Promise.resolve({})) },
    { callTimeout: 50 },
  );
  deliver('r1', milk);
  await see('ack');
  expect(told.filter(({ what }) => what === 'audit').map(({ run }) => run)).toEqual([
    'r1/sendAudit',
    'r1/sendAudit',
  ]);
});

test('calls of one kind are bounded, and one kind does not hold up another', async () => {
  let under = 0;
  let most = 0;
  const { perform, end } = endless();
  const { deliver, see } = await begin(
    {
      sendAudit: () => {
        most = Math.max(most, ++under);
        return perform();
      },
    },
    { concurrency: 3, callTimeout: 1_000_000 },
  );
  onTestFinished(end);
  for (let number = 1; number <= 6; number++) deliver(`r${number}`, milk);
  await see('alert', 6);
  await see('audit', 3);
  expect(most).toBe(3);
});

test('what another commit took from this worker is let go of: its late answer changes nothing', async () => {
  const answer = Promise.withResolvers<object>();
  const { deliver, see, store, whats } = await begin({ sendAudit: () => answer.promise });
  deliver('r1', milk);
  await see('audit');
  await store.join('other');
  const [claim] = await store.claim('other', ['create-todo@1'], [{ id: 'r1', redelivered: true }]);
  expect(claim!.type).toBe('claimed');
  answer.resolve({});
  // The delivery is looked at anew: the run is another worker's now, so the message comes back later.
  await see('later');
  expect((await store.get('r1'))!.state).toBe('sendingAudit');
  expect(whats()).not.toContain('ack');
});

test('what another worker took from a late one is not taken back: the old delivery tells nothing of that', async () => {
  const answer = Promise.withResolvers<object>();
  const { deliver, see, store, whats } = await begin({ sendAudit: () => answer.promise });
  deliver('r1', milk, { redelivered: true });
  await see('audit');
  await store.join('other');
  await store.claim('other', ['create-todo@1'], [{ id: 'r1', redelivered: true }]);
  const before = await store.get('r1');
  answer.resolve({});
  await see('later');
  expect(whats()).toEqual(['alert', 'audit', 'later']);
  expect(await store.resume('other', ['create-todo@1'], 10)).toEqual([]); // it is still its own
  expect(await store.get('r1')).toEqual(before);
});

describe('a lease', () => {
  test('is renewed while the inbox is never empty', { timeout: 4000 }, async () => {
    const renewed = Promise.withResolvers<void>();
    let renewals = 0;
    let runs = 0;
    let feeds = true;
    const { deliver } = await begin(
      {},
      {
        wrap: replacing((store) => ({
          renew: (worker) => {
            renewals += 1;
            if (renewals === 3) renewed.resolve();
            return store.renew(worker);
          },
          // There is new mail before any turn ends.
          commit: (worker, changes) => {
            if (feeds) deliver(`r${(runs += 1)}`, milk);
            return store.commit(worker, changes);
          },
        })),
      },
    );
    onTestFinished(() => void (feeds = false));
    deliver('r0', milk);
    await renewed.promise;
    expect(runs).toBeGreaterThan(0);
  });

  test('that was lost makes no new run fail: it begins when the worker has joined again', async () => {
    const { deliver, see, store, db } = await begin();
    await loseLease(db.path);
    deliver('r1', milk);
    await see('ack');
    expect(await store.get('r1')).toMatchObject({ status: 'done' });
    expect(db.all('SELECT id FROM todos')).toEqual([{ id: 'r1' }]);
  });

  test('that was lost does not keep the worker from a run whose message came again', async () => {
    const { deliver, see, store, db, others } = await begin();
    await others('r1');
    await loseLease(db.path);
    deliver('r1', milk, { redelivered: true });
    await see('ack');
    expect(await store.get('r1')).toMatchObject({ status: 'done' });
  });
});

test('no more runs are taken up from the store at once than fit into a hand, and all of them end', async () => {
  const { perform, end } = endless();
  const { worker, others, db, store } = await begin({ sendAlert: perform }, { concurrency: 10 });
  const count = 2600;
  await others(...Array.from({ length: count }, (_, index) => `r${index}`));
  await db.write(() => db.run("DELETE FROM workers WHERE id = 'other'"));
  await vi.waitFor(() => expect(worker.inHand).toBeGreaterThan(1000), { timeout: 5000 });
  const owned = () => db.get<{ runs: number }>("SELECT count(*) AS runs FROM runs WHERE owner = 'w'")!.runs;
  await new Promise((resolve) => setTimeout(resolve, 1200)); // another look
  expect(owned()).toBeLessThanOrEqual(2010);
  end();
  const isDone = async () => expect(await store.list({ status: 'done', limit: count })).toHaveLength(count);
  await vi.waitFor(isDone, { timeout: 20_000, interval: 200 });
}, 30_000);

test('suspects are resumed one after the other, without waiting for a tick', async () => {
  const { store, db, others, see } = await begin();
  const ids = Array.from({ length: 20 }, (_, index) => `r${index}`);
  await others(...ids);
  // As if they had taken two workers down.
  await db.write(() => db.exec("UPDATE runs SET resumes = 2; DELETE FROM workers WHERE id = 'other'"));
  await see('audit', ids.length);
  await vi.waitFor(async () =>
    expect((await store.list({ limit: 100 })).map(({ status }) => status)).toEqual(ids.map(() => 'done')),
  );
});

describe('a call in flight', () => {
  const known = async () => ({ receipt: { status: 200 } });

  test('of a run that is resumed is in doubt: what took effect is not repeated', async () => {
    const { store, db, deliver, others, see, whats } = await begin({ verifyAlert: known });
    await others('r1', 'r2');
    await loseLease(db.path);
    deliver('r2', milk, { redelivered: true }); // claimed by its delivery, the other one by the tick
    await see('ack');
    await vi.waitFor(async () => expect((await store.get('r1'))!.status).toBe('done'), { timeout: 5000 });
    expect(whats()).not.toContain('alert');
    for (const id of ['r1', 'r2'])
      expect(await store.history(id)).toContainEqual(
        expect.objectContaining({ event: 'sendAlert done', receipt: { status: 200, verified: true } }),
      );
  });

  test('of a run that was in hand all the time is not in doubt, whatever its attempt', async () => {
    let calls = 0;
    const { deliver, see, whats } = await begin({
      verifyAlert: known,
      sendAlert: async () => {
        if ((calls += 1) < 3) throw new TransientError('busy');
        return {};
      },
    });
    deliver('r1', milk);
    await see('ack');
    expect(whats()).toEqual(['alert', 'alert', 'alert', 'audit', 'ack']);
  });

  test('is not in doubt after the one that was', async () => {
    const { store, db, deliver, others, see, whats } = await begin({
      verifyAlert: async () => undefined,
      sendAlert: async (_, { attempt }) => {
        if (attempt === 1) throw new TransientError('busy');
        return {};
      },
    });
    await others('r1');
    await loseLease(db.path);
    deliver('r1', milk, { redelivered: true });
    await see('ack');
    expect(whats()).toEqual(['alert', 'alert', 'audit', 'ack']);
    const receipts = (await store.history('r1')).map(({ receipt }) => receipt);
    expect(receipts.filter((receipt) => receipt?.['verified'])).toEqual([]);
  });
});

describe('a receiver that is away', () => {
  /** Runs whose alerts nobody takes, until the receiver is back. */
  const outage = async (count: number, change: Parameters<typeof begin>[1] = {}) => {
    let isAway = true;
    let running = 0;
    let peak = 0;
    const asked: string[] = [];
    const sendAlert: RemoteCall['perform'] = async (_, { key }) => {
      asked.push(key);
      peak = Math.max(peak, (running += 1));
      await new Promise((resolve) => setTimeout(resolve, 5));
      running -= 1;
      if (isAway) throw new TransientError('HTTP 503');
      return {};
    };
    const site = await begin({ sendAlert }, { probing: { base: 100, cap: 100 }, ...change });
    const ids = Array.from({ length: count }, (_, index) => `r${index}`);
    for (const id of ids) site.deliver(id, milk);
    const held = () =>
      vi.waitFor(async () => expect(await site.store.outages()).toHaveLength(1), { timeout: 5000 });
    const isBack = () => {
      isAway = false;
      peak = 0;
    };
    return { ...site, ids, asked, held, isBack, peak: () => peak };
  };

  test('is tried by one call at a time, while the others wait without an attempt, a timer or a delivery in hand', async () => {
    const { ids, store, held, asked, whats } = await outage(50, { concurrency: 10 });
    await held();
    await vi.waitFor(() => expect(whats().filter((what) => what === 'later')).toHaveLength(50), {
      timeout: 5000,
    });
    const before = asked.length;
    await new Promise((resolve) => setTimeout(resolve, 1000)); // a second of the trickle is what is measured here
    expect(asked.length - before).toBeLessThanOrEqual(20);
    expect(asked.length - before).toBeGreaterThanOrEqual(4);
    const untouched = (await store.list({ limit: 100 })).filter(
      ({ id, attempts, timers }) =>
        !asked.includes(`${id}/sendAlert`) &&
        attempts['0.create-todo.sendingAlert'] === 1 &&
        Object.keys(timers).length === 0,
    );
    expect(untouched.length).toBe(ids.length - new Set(asked).size);
    expect((await store.outages())[0]).toMatchObject({
      machine: 'create-todo',
      call: 'sendAlert',
      error: 'HTTP 503',
    });
  });

  test('and comes back gets what waited, few at first', async () => {
    const { ids, store, held, isBack, peak } = await outage(60, { concurrency: 20 });
    await held();
    isBack();
    await vi.waitFor(
      async () => expect(await store.list({ status: 'done', limit: 100 })).toHaveLength(ids.length),
      { timeout: 10_000 },
    );
    expect(peak()).toBeLessThanOrEqual(20);
    await vi.waitFor(async () => expect(await store.outages()).toEqual([]), { timeout: 5000 });
  });

  test('keeps no worker from draining, and what waited goes on with the next one', async () => {
    const { worker, store, held, ids } = await outage(30);
    await held();
    await worker.drain();
    expect(await store.list({ status: 'active', limit: 100 })).toHaveLength(ids.length);
    expect(await store.outages()).toEqual([]);
  });

  test('is not blamed on the runs that wait for it, however often their worker dies', async () => {
    const { db, held, others } = await outage(30, { probing: { base: 60_000, cap: 60_000 } });
    await held();
    await others('x1', 'x2');
    await db.write(() =>
      db.exec("UPDATE runs SET resumes = 1 WHERE owner = 'other'; DELETE FROM workers WHERE id = 'other'"),
    );
    const resumes = () => db.all("SELECT owner, resumes FROM runs WHERE id IN ('x1', 'x2')");
    await vi.waitFor(
      () =>
        expect(resumes()).toEqual([
          { owner: 'w', resumes: 0 },
          { owner: 'w', resumes: 0 },
        ]),
      { timeout: 5000 },
    );
  });
});

describe('an input that cannot be read', () => {
  const deep = `{"x":${'['.repeat(30_000)}${']'.repeat(30_000)}}`;
  test.each<[string, z.ZodType, string]>([
    ['its schema throws', z.object({ url: z.string().transform((url) => new URL(url)) }), '{"url":"no url"}'],
    ['it is nested too deeply', z.object({ x: z.unknown() }), deep],
  ])('because %s is dead-lettered, and the others go on', async (_, input, body) => {
    const { deliver, see, told } = await begin({}, { machines: [pinging({ input })] });
    deliver('before', milk);
    deliver('bad', body, ping);
    deliver('after', milk);
    await see('ack', 2);
    await see('dead: the input cannot be read: ');
    expect(told.filter(({ what }) => what === 'ack').map(({ run }) => run)).toEqual(['before', 'after']);
  });
});

test('a message whose run began before its schema became stricter is that run’s, and no dead letter', async () => {
  const { perform, end } = endless();
  const strict = pinging({ version: '2', input: z.object({ phone: z.string() }) });
  const machines = [pinging({ perform }), strict];
  const { deliver, see, whats } = await begin({}, { machines });
  deliver('r1', {}, { machine: 'ping@1' });
  deliver('r1', {}, { ...ping, redelivered: true });
  deliver('r2', {}, ping);
  await see('dead: phone: is missing');
  end();
  await see('ack', 2);
  deliver('r1', {}, { ...ping, redelivered: true });
  await see('ack', 3);
  expect(whats()).toHaveLength(4);
});

test('what a schema adds by chance makes no conflict of a message that comes twice', async () => {
  const input = z.object({ token: z.string().default(() => randomUUID()) });
  const { deliver, see, told } = await begin({}, { machines: [pinging({ input })] });
  deliver('r1', {}, ping);
  deliver('r1', {}, ping);
  await see('ack', 2);
  deliver('r1', {}, { ...ping, redelivered: true });
  await see('ack', 3);
  deliver('r1', { token: 'mine' }, ping);
  await see('dead: conflict');
  expect(told).toHaveLength(4);
});

describe('a call that throws instead of rejecting', () => {
  /** What would end the process. */
  const rejections = () => {
    const unhandled = vi.fn<(reason: unknown) => void>();
    process.on('unhandledRejection', unhandled);
    onTestFinished(() => void process.off('unhandledRejection', unhandled));
    return unhandled;
  };

  test('fails its run when the error is permanent', async () => {
    const unhandled = rejections();
    const sendAudit = () => {
      throw new PermanentError('no address');
    };
    const { deliver, see, store } = await begin({ sendAudit });
    deliver('r1', milk);
    await see('ack');
    expect(await store.get('r1')).toMatchObject({ status: 'failed', reason: 'no address' });
    await new Promise(setImmediate);
    expect(unhandled).not.toHaveBeenCalled();
  });

  test('is tried again when the error is not', async () => {
    const unhandled = rejections();
    let calls = 0;
    const sendAudit = async () => ({});
    const sendAlert = () => {
      calls += 1;
      if (calls === 1) throw new TypeError('cannot read properties of undefined');
      return sendAudit();
    };
    const { deliver, see, store } = await begin({ sendAlert, sendAudit });
    deliver('r1', milk);
    await see('ack');
    expect(calls).toBe(2);
    expect(await store.get('r1')).toMatchObject({ status: 'done' });
    await new Promise(setImmediate);
    expect(unhandled).not.toHaveBeenCalled();
  });
});

describe('a delay', () => {
  const busyOnce = () => {
    let calls = 0;
    return async () => {
      calls += 1;
      if (calls === 1) throw new TransientError('busy');
      return {};
    };
  };

  test('may be a fraction of a millisecond', async () => {
    const machines = [pinging({ perform: busyOnce(), delay: () => 0.3 })];
    const { deliver, see, store } = await begin({}, { machines });
    deliver('r1', {}, ping);
    await see('ack');
    expect(await store.get('r1')).toMatchObject({ status: 'done' });
  });

  test('that is no number fails its run with the reason, and no other run', async () => {
    const machines = [pinging({ perform: busyOnce(), delay: () => NaN })];
    const { deliver, see, store } = await begin({}, { machines });
    deliver('r1', {}, ping);
    deliver('r2', milk);
    await see('ack', 2);
    expect(await store.get('r1')).toMatchObject({
      status: 'failed',
      failedIn: 'pinging',
      reason: 'the machine threw: a delay is NaN ms',
    });
    expect(await store.get('r2')).toMatchObject({ status: 'done' });
  });
});

test('a delivery that comes while its run is being rejected is settled with it', async () => {
  let commits = 0;
  const { deliver, see, store, db } = await begin(
    {},
    {
      wrap: wrapCommit((target, worker, changes) => {
        commits += 1;
        if (commits === 1) deliver('r1', milk);
        return target.commit(worker, changes);
      }),
    },
  );
  await db.write(() =>
    db.exec("CREATE TRIGGER strict BEFORE INSERT ON todos BEGIN SELECT raise(ABORT, 'no todos'); END"),
  );
  deliver('r1', milk);
  await see('ack', 2);
  expect(await store.get('r1')).toMatchObject({ status: 'failed', failedIn: 'saving' });
});

test('a delivery with another input that comes while its run is being rejected is a conflict', async () => {
  let commits = 0;
  const { deliver, see, db } = await begin(
    {},
    {
      wrap: wrapCommit((target, worker, changes) => {
        commits += 1;
        if (commits === 1) deliver('r1', { title: 'Buy bread' });
        return target.commit(worker, changes);
      }),
    },
  );
  await db.write(() =>
    db.exec("CREATE TRIGGER strict BEFORE INSERT ON todos BEGIN SELECT raise(ABORT, 'no todos'); END"),
  );
  deliver('r1', milk);
  await see('ack');
  await see('dead: conflict');
});

test('a suspect is waited for, and then the next one does not wait for a tick', async () => {
  const slow = () => new Promise<object>((resolve) => setTimeout(() => resolve({}), 150));
  const { db, others, see } = await begin({ sendAlert: slow });
  const ids = Array.from({ length: 10 }, (_, index) => `r${index}`);
  await others(...ids);
  await db.write(() => db.exec("UPDATE runs SET resumes = 2; DELETE FROM workers WHERE id = 'other'"));
  await see('audit', ids.length);
});

test.for(['its message', 'its resume'])(
  'a run that took its worker down too often is failed when %s comes first',
  async (first) => {
    let bring = () => {};
    const { store, db, deliver, see, others } = await begin(
      {},
      {
        wrap: replacing((inner) => ({
          resume: async (...args) => {
            const resumed = await inner.resume(...args);
            if (resumed.length > 0 && first === 'its message') bring();
            if (resumed.length > 0 && first === 'its resume') setImmediate(bring);
            return resumed;
          },
        })),
      },
    );
    await others('r1');
    bring = () => deliver('r1', milk);
    await db.write(() => {
      db.run('UPDATE runs SET resumes = 5');
      db.run(`DELETE FROM workers WHERE id = 'other'`);
    });
    await see('ack');
    expect(await store.get('r1')).toMatchObject({
      status: 'failed',
      reason: 'its worker died 5 times in a row while it ran',
    });
  },
);
