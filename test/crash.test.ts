/**
 * A real worker process is killed with SIGKILL at every call of a port, before and after it took effect. The
 * next worker must bring everything to its end: nothing lost, nothing phantom, nothing doubled.
 */
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, inject, test } from 'vitest';
import { programOf, startChild } from '../src/cli/prove/child.ts';
import type { Counts, Point, When } from '../src/cli/prove/points.ts';
import { clean, drained, emptied, nothingLeft, openEnds } from './harness/ends.ts';
import type { Ends } from './harness/ends.ts';

const queues = { embedded: 'embedded', RabbitMQ: inject('amqpUrl') };
const folder = mkdtempSync(path.join(tmpdir(), 'holdfast-crash-'));
afterAll(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }));

let sites = 0;
const openSite = (queue: string, settings: Partial<Ends['settings']> = {}): Promise<Ends> => {
  const own = path.join(folder, `${(sites += 1)}`);
  mkdirSync(own);
  return openEnds({ queue, folder: own, settings });
};

/** Starts a worker that stands still at a point. */
const startWorker = ({ settings }: Ends, stopAt?: Point) =>
  startChild(programOf('worker-program'), { settings, stopAt: stopAt && [stopAt] });

/** Every point that a worker passes which is not killed, from its start to the end of its drain. */
const dryRun = async (queue: string, todos: number): Promise<Counts> => {
  const ends = await openSite(queue);
  try {
    await ends.submit(todos);
    const worker = startWorker(ends);
    await ends.untilFinal(todos);
    worker.process.kill('SIGTERM');
    expect(await worker.exited).toEqual({ code: 0, signal: null });
    // A commit goes by the names of its transitions as well: those are other ways to say the same.
    return Object.fromEntries(Object.entries(await worker.counts()).filter(([at]) => /^\w+\.\w+$/.test(at)));
  } finally {
    await ends.close();
  }
};

/** Points that are passed only once the worker is asked to leave. */
const drainPoints = new Set(['queue.stop', 'queue.close', 'store.leave']);

/** How often these are passed depends on how runs happen to share a turn, or on how long the worker lives. */
const shared = new Set(['store.commit', 'store.claim', 'store.resume', 'store.renew', 'db.run', 'db.commit']);

/** `n` of what is shared: no grouping makes it less than for one todo. Lives end at the drain, so time counts once. */
const pointsOf = (counts: Counts, single: Counts): Point[] =>
  Object.entries(counts).flatMap(([at, count]) => {
    const most =
      at === 'store.renew' || at === 'store.resume'
        ? 1
        : shared.has(at)
          ? Math.min(count, single[at] ?? 0)
          : count;
    return Array.from({ length: most }, (_, index) => index + 1).flatMap((n) =>
      whensOf(at).map((when) => ({ at, n, when })),
    );
  });

const whensOf = (at: string): When[] => {
  if (at === 'queue.ack' || at === 'queue.later') return ['before', 'after', 'flushed'];
  // In the middle of a transaction, before a statement is after the one before it.
  return at === 'db.run' ? ['after'] : ['before', 'after'];
};

/** Kills the worker at the point. Fails when it never came there: then nothing was tested. */
const crashAt = async (ends: Ends, crash: Point, todos: number): Promise<string[]> => {
  const ids = await ends.submit(todos);
  const worker = startWorker(ends, crash);
  const late = setTimeout(() => worker.process.kill('SIGABRT'), 15_000);
  if (drainPoints.has(crash.at)) {
    await ends.untilFinal(todos);
    worker.process.kill('SIGTERM');
  }
  await worker.held();
  worker.process.kill('SIGKILL');
  expect(await worker.exited).toEqual({ code: null, signal: 'SIGKILL' });
  clearTimeout(late);
  return ids;
};

/** What another worker makes of it. */
const recover = async (ends: Ends, ids: readonly string[]): Promise<void> => {
  const open = await ends.openWorker();
  await open.worker.start();
  await ends.untilFinal(ids.length);
  await drained(open);
  await open.close();
  await emptied(ends);
};

const expectNoPhantom = async (ends: Ends): Promise<void> => {
  const { tally, gaps } = await ends.report([]);
  expect({ phantom: tally.phantom, doubled: tally.doubled, gaps }).toEqual({
    phantom: 0,
    doubled: 0,
    gaps: [],
  });
};

const crashAndRecover = async (ends: Ends, crash: Point, todos: number): Promise<void> => {
  try {
    const ids = await crashAt(ends, crash, todos);
    // RabbitMQ makes its queues when the first worker connects, so nothing is read there yet.
    if (ends.isEmbedded) await expectNoPhantom(ends);
    await recover(ends, ids);
    const report = await ends.report(ids);
    expect(report).toEqual(clean(todos, report.tally.repeats));
    expect(report.tally.repeats).toBeLessThanOrEqual(2 * todos);
    expect(await ends.left()).toEqual(nothingLeft);
  } finally {
    await ends.close();
  }
};

const nameOf = ({ at, n, when }: Point): string => `${when} ${at} ${n}`;

const handful = 3;

const matrix = await Promise.all(
  Object.entries(queues).map(async ([name, queue]) => {
    const [single, several] = await Promise.all([dryRun(queue, 1), dryRun(queue, handful)]);
    return { name, queue, single, several };
  }),
);

for (const { name, queue, single, several } of matrix) {
  describe.concurrent(`killed on ${name}`, () => {
    test('every port of a todo is among the points', () => {
      const ports = [
        'call.sendAlert',
        'call.sendAudit',
        'queue.ack',
        'queue.close',
        'queue.consume',
        'queue.delivery',
        'queue.stop',
      ];
      const store = ['claim', 'commit', 'join', 'leave', 'prepare', 'renew', 'resume'].map(
        (method) => `store.${method}`,
      );
      expect(Object.keys(single).toSorted()).toEqual([...ports, 'db.commit', 'db.run', ...store].toSorted());
      expect(single).toMatchObject({
        'store.commit': 3,
        'queue.ack': 1,
        'call.sendAlert': 1,
        'call.sendAudit': 1,
      });
    });

    test.for(pointsOf(single, single).map((crash) => [nameOf(crash), crash] as const))(
      'with one todo, %s',
      async ([, crash]) => {
        await crashAndRecover(await openSite(queue), crash, 1);
      },
    );

    const busy = pointsOf(several, single).filter(({ at }) =>
      /^(store\.(commit|claim)|queue\.(ack|delivery)|call\.)/.test(at),
    );
    test.for(busy.map((crash) => [nameOf(crash), crash] as const))(
      `with ${handful} todos, %s`,
      async ([, crash]) => {
        await crashAndRecover(await openSite(queue), crash, handful);
      },
    );

    const later = whensOf('queue.later').map((when) => ({ at: 'queue.later', n: 1, when }));
    test.for(later.map((crash) => [nameOf(crash), crash] as const))(
      'with a todo that waits for long, %s',
      async ([, crash]) => {
        const moody = await startMoodyReceiver();
        const ends = await openSite(queue);
        // The first entry is refused for four seconds, the others go on to the receiver that counts.
        moody.forwardTo(ends.settings.auditUrl);
        await crashAndRecover(
          Object.assign(ends, { settings: { ...ends.settings, auditUrl: moody.url } }),
          crash,
          1,
        );
        expect(moody.refused).toBe(1);
        moody.close();
      },
    );
  });
}

describe.for(Object.entries(queues))('killed after its audit took effect on %s', ([, queue]) => {
  test.for([
    ['a receiver that can be asked sees one entry', true, 0],
    ['a receiver that cannot sees two under one key', false, 1],
  ] as const)('%s', async ([, auditVerify, repeats]) => {
    const ends = await openSite(queue, { auditVerify });
    try {
      const ids = await crashAt(ends, { at: 'call.sendAudit', n: 1, when: 'after' }, 1);
      await recover(ends, ids);
      expect(ends.audits()).toHaveLength(1 + repeats);
      expect(await ends.report(ids)).toEqual(clean(1, repeats));
    } finally {
      await ends.close();
    }
  });
});

const startMoodyReceiver = async () => {
  const state = { refused: 0, target: new URL('http://localhost') };
  const server = createServer((request, response) => {
    if (state.refused++ === 0) return void response.writeHead(503, { 'retry-after': '4' }).end();
    state.refused -= 1;
    // 307 would be a refusal to Holdfast, so the body is passed on.
    void request.toArray().then(async (chunks) => {
      const headers = {
        'content-type': 'application/json',
        'idempotency-key': String(request.headers['idempotency-key']),
      };
      const { status } = await fetch(state.target, {
        method: 'POST',
        headers,
        body: Buffer.concat(chunks as Buffer[]),
      });
      response.writeHead(status).end();
    });
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: new URL(`http://127.0.0.1:${port}/audit`),
    get refused() {
      return state.refused;
    },
    forwardTo: (target: URL) => void (state.target = target),
    close: () => void server.close(),
  };
};
