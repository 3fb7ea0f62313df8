import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { answerTo, dueOf, error, ok, testClock, todoMachine } from '../../test/harness/engine.ts';
import { advance, redrive, start } from '../engine/interpreter.ts';
import type { Incident, Run, Step } from '../engine/run.ts';
import { suspectAfter } from './store.ts';
import type { Change, Store } from './store.ts';

export type StoreUnderTest = {
  readonly store: Store;
  /** The same runs through another connection, as another process has them. */
  another(): Store;
  /** Makes the store take a worker for dead. */
  kill(worker: string): Promise<void>;
  todos(): string[];
  close(): Promise<void>;
};

const machine = todoMachine();
const refs = [machine.ref];
const clock = testClock();

const begin = (id: string, title = 'Buy milk'): Change => ({
  ...start(machine, id, { title }, clock),
  expected: null,
});

const onTopOf = (run: Run, step: Step): Change => ({ ...step, expected: run.seq });

const stepOf = (run: Run, incident: Incident): Change =>
  onTopOf(run, advance(machine, run, incident, clock)!);

/** What every store promises; each adapter passes it. */
export const describeStore = (name: string, open: () => Promise<StoreUnderTest>): void => {
  describe(name, () => {
    let under: StoreUnderTest;
    let store: Store;

    beforeEach(async () => {
      under = await open();
      store = under.store;
      expect(await store.prepare([machine])).toEqual([]);
      await store.join('a');
      await store.join('b');
    });
    afterEach(() => under.close());

    const create = async (worker: string, ...ids: string[]): Promise<Run[]> => {
      const changes = ids.map((id) => begin(id));
      expect(await store.commit(worker, changes)).toEqual(ids.map(() => ({ type: 'committed' })));
      return changes.map(({ run }) => run);
    };

    const commitOne = async (worker: string, change: Change) =>
      (await store.commit(worker, [change]))[0]!.type;

    describe('a commit', () => {
      test('gives back the record, its history and its own writes as they were', async () => {
        const [run] = await create('a', 'r1');
        expect(await store.get('r1')).toEqual(run);
        expect(await store.history('r1')).toEqual(begin('r1').transitions);
        expect(under.todos()).toEqual(['r1']);
      });

      test('on top of another record than the expected one is a conflict, and changes nothing', async () => {
        const [run] = await create('a', 'r1');
        const change = stepOf(run!, answerTo(machine, run!, ok()));
        expect(await commitOne('a', { ...change, expected: run!.seq - 1 })).toBe('conflict');
        expect(await store.get('r1')).toEqual(run);
        expect(await store.history('r1')).toHaveLength(3);
      });

      test('of a run that another worker holds is a conflict', async () => {
        const [run] = await create('a', 'r1');
        expect(await commitOne('b', stepOf(run!, answerTo(machine, run!, ok())))).toBe('conflict');
      });

      test('that creates a run a second time is a conflict, and saves no second todo', async () => {
        await create('a', 'r1');
        expect(await commitOne('b', begin('r1', 'Buy bread'))).toBe('conflict');
        expect(await store.get('r1')).toMatchObject({ input: '{"title":"Buy milk"}' });
      });

      test('keeps the other runs of the turn when one of them is in conflict or rejected', async () => {
        await create('a', 'r1');
        const broken = {
          ...begin('r2'),
          writes: [{ sql: 'INSERT INTO todos (id) VALUES (:id)', params: { id: 'r2' } }],
        };
        const outcomes = await store.commit('a', [begin('r1'), broken, begin('r3')]);
        expect(outcomes.map(({ type }) => type)).toEqual(['conflict', 'rejected', 'committed']);
        expect(await store.get('r2')).toBeUndefined();
        expect(await store.history('r2')).toEqual([]);
        expect(under.todos()).toEqual(['r1', 'r3']);
      });

      test('after a conflict leaves the run to whoever resumes it next', async () => {
        const [run] = await create('a', 'r1');
        const change = stepOf(run!, answerTo(machine, run!, ok()));
        await commitOne('a', { ...change, expected: 1 });
        expect(await store.resume('b', refs, 10)).toMatchObject([{ run: { id: 'r1' } }]);
      });
    });

    describe('a run', () => {
      test('belongs to the worker that created it, until that one leaves', async () => {
        await create('a', 'r1');
        expect(await store.resume('b', refs, 10)).toEqual([]);
        await store.leave('a');
        expect((await store.resume('b', refs, 10)).map(({ run }) => run.id)).toEqual(['r1']);
        expect(await store.resume('b', refs, 10)).toEqual([]);
      });

      test('of a dead worker goes to the next one that looks', async () => {
        const [run] = await create('a', 'r1');
        await under.kill('a');
        await store.renew('b');
        expect(await store.resume('b', refs, 10)).toEqual([{ run, resumes: 1 }]);
      });

      test('that was taken over is not changed by the one who comes back late', async () => {
        const [run] = await create('a', 'r1');
        await under.kill('a');
        await store.renew('b');
        await store.resume('b', refs, 10);
        expect(await commitOne('a', stepOf(run!, answerTo(machine, run!, ok())))).toBe('conflict');
        expect(await commitOne('b', stepOf(run!, answerTo(machine, run!, ok())))).toBe('committed');
      });

      test('that is final is resumed by nobody', async () => {
        const [run] = await create('a', 'r1');
        await commitOne('a', stepOf(run!, { type: 'cancelled' }));
        await store.leave('a');
        expect(await store.resume('b', refs, 10)).toEqual([]);
      });

      test('of a machine that is not registered stays untouched, and is reported', async () => {
        await create('a', 'r1');
        await store.leave('a');
        expect(await store.resume('b', ['create-todo@2'], 10)).toEqual([]);
        expect(await store.stranded(['create-todo@2'])).toEqual([{ ref: 'create-todo@1', count: 1 }]);
        expect(await store.stranded(refs)).toEqual([]);
      });

      test('is resumed in pages', async () => {
        await create('a', 'r1', 'r2', 'r3');
        await store.leave('a');
        expect(await store.resume('b', refs, 2)).toHaveLength(2);
        expect(await store.resume('b', refs, 2)).toHaveLength(1);
      });
    });

    /** Its audit was refused, and is tried again `due` ms from now. */
    const commitWait = async (
      run: Run,
      { due, updated = 0, release = false }: { due: number; updated?: number; release?: boolean },
    ): Promise<Run> => {
      const change = stepOf(run, answerTo(machine, run, error('away')));
      const now = Date.now();
      const waiting = { ...change.run, dueAt: now + due, updatedAt: now + updated };
      expect(await commitOne('a', { ...change, run: waiting, release })).toBe('committed');
      return waiting;
    };

    describe('a run that its worker let go of because it waits', () => {
      const claimR1 = async () => (await store.claim('b', refs, [{ id: 'r1', redelivered: false }]))[0]!.type;

      test('is in nobody’s hands until it is nearly due', async () => {
        const [run] = await create('a', 'r1');
        await commitWait(run!, { due: 60_000, release: true });
        expect(await store.resume('b', refs, 10)).toEqual([]);
        expect(await claimR1()).toBe('busy');
        await under.kill('a');
        await store.renew('b');
        expect(await store.resume('b', refs, 10)).toEqual([]);
      });

      test.each([1000, -1000])('is taken up when it is due in %i ms', async (due) => {
        const [one, two] = await create('a', 'r1', 'r2');
        await commitWait(one!, { due, release: true });
        const waiting = await commitWait(two!, { due, release: true });
        expect(await claimR1()).toBe('claimed');
        expect((await store.resume('b', refs, 10)).map((resumed) => resumed.run)).toEqual([waiting]);
      });

      test('is taken up when the clock was set back, and waits no longer than it was meant to', async () => {
        const [run] = await create('a', 'r1');
        await commitWait(run!, { due: 3_660_000, updated: 3_600_000, release: true });
        expect(await store.resume('b', refs, 10)).toHaveLength(1);
      });
    });

    describe('a run that takes its worker down', () => {
      const die = async (worker: string) => {
        await store.join(worker);
        const resumed = await store.resume(worker, refs, 10);
        await under.kill(worker);
        await store.renew('b');
        return resumed;
      };

      test('is counted, and taken up alone once it is a suspect', async () => {
        await create('a', 'r1', 'r2');
        await under.kill('a');
        await store.renew('b');
        for (let count = 1; count <= suspectAfter; count++) {
          expect((await die(`w${count}`)).map(({ resumes }) => resumes)).toEqual([count, count]);
        }
        const alone = await die('w8');
        expect(alone.map(({ resumes }) => resumes)).toEqual([suspectAfter + 1]);
        await create('b', 'r3');
      });

      test('is innocent again after a transition', async () => {
        await create('a', 'r1');
        await under.kill('a');
        await store.renew('b');
        await store.join('c');
        const [resumed] = await store.resume('c', refs, 10);
        expect(await commitOne('c', stepOf(resumed!.run, answerTo(machine, resumed!.run, ok())))).toBe(
          'committed',
        );
        await under.kill('c');
        await store.renew('b');
        expect((await store.resume('b', refs, 10))[0]!.resumes).toBe(1);
      });

      test('is not counted while it only waits', async () => {
        const [run] = await create('a', 'r1');
        await commitWait(run!, { due: 2000 });
        await under.kill('a');
        await store.renew('b');
        expect((await die('c'))[0]!.resumes).toBe(0);
        expect((await die('d'))[0]!.resumes).toBe(0);
      });

      test('is counted once it is due', async () => {
        const [run] = await create('a', 'r1');
        await commitWait(run!, { due: -1 });
        await under.kill('a');
        await store.renew('b');
        expect((await die('c'))[0]!.resumes).toBe(1);
      });

      test('is not counted when its worker left in good order', async () => {
        await create('a', 'r1');
        await store.leave('a');
        await store.resume('b', refs, 10);
        await store.leave('b');
        await store.join('c');
        expect((await store.resume('c', refs, 10))[0]!.resumes).toBe(1);
      });
    });

    describe('a claim', () => {
      test('tells how often a run was resumed that this worker has just resumed', async () => {
        await create('a', 'r1');
        await under.kill('a');
        await store.renew('b');
        const [resumed] = await store.resume('b', refs, 10);
        const claims = await store.claim('b', refs, [{ id: 'r1', redelivered: false }]);
        expect(claims).toEqual([{ type: 'claimed', ...resumed }]);
      });

      const claim = async (worker: string, id: string, redelivered = false, known = refs) =>
        (await store.claim(worker, known, [{ id, redelivered }]))[0]!;

      test('tells unknown, final, held by this one and held by another apart', async () => {
        const [done] = await create('a', 'r1', 'r2');
        await commitOne('a', stepOf(done!, { type: 'cancelled' }));
        expect((await claim('a', 'r0')).type).toBe('unknown');
        expect((await claim('b', 'r1')).type).toBe('final');
        expect((await claim('a', 'r2')).type).toBe('claimed');
        expect(await claim('b', 'r2')).toMatchObject({ type: 'busy', input: '{"title":"Buy milk"}' });
      });

      test('by a redelivered message voids the lease of whoever held the run', async () => {
        const [run] = await create('a', 'r1');
        expect((await claim('b', 'r1', true)).type).toBe('claimed');
        expect(await commitOne('a', stepOf(run!, answerTo(machine, run!, ok())))).toBe('conflict');
      });

      test('leaves a run alone whose machine this worker does not know', async () => {
        await create('a', 'r1');
        await store.leave('a');
        expect((await claim('b', 'r1', true, ['create-todo@2'])).type).toBe('busy');
        expect(await store.resume('b', refs, 10)).toHaveLength(1);
      });

      test('takes a run that nobody holds', async () => {
        await create('a', 'r1');
        await store.leave('a');
        expect((await claim('b', 'r1')).type).toBe('claimed');
        expect(await store.resume('b', refs, 10)).toEqual([]);
      });
    });

    test('a receiver that is away is told of while the worker that says so lives, once for all who say so', async () => {
      const outage = {
        machine: 'm',
        call: 'c',
        since: 1000,
        nextProbeAt: 2000,
        waiting: 3,
        error: 'HTTP 503',
      };
      await store.noteOutages('a', [outage]);
      await under.another().noteOutages('b', [{ ...outage, since: 900, waiting: 4 }]);
      expect(await store.outages()).toEqual([{ ...outage, since: 900, waiting: 7 }]);
      await store.noteOutages('a', [{ ...outage, call: 'd' }]);
      await under.kill('b');
      expect(await store.outages()).toEqual([{ ...outage, call: 'd' }]);
      await store.leave('a');
      expect(await store.outages()).toEqual([]);
    });

    test('a run that only waited is not blamed for the death of its worker', async () => {
      await create('a', 'r1', 'r2');
      const dies = async (worker: string, spared: string[]) => {
        await store.spare(worker, spared);
        await under.kill(worker);
        await store.renew('b');
        await store.join('a');
      };
      await dies('a', []);
      for (let life = 1; life <= suspectAfter + 2; life++) {
        const resumed = await store.resume('a', refs, 10);
        expect(resumed.find(({ run }) => run.id === 'r1')?.resumes).toBe(1);
        await dies('a', ['r1']);
      }
      await store.resume('a', refs, 10);
      expect(
        (await store.resume('a', refs, 10)).map(({ run, resumes }) => [run.id, resumes > suspectAfter]),
      ).toEqual([['r2', true]]);
    });

    describe('pruning', () => {
      /** Ends at once, a second after the one before it. */
      const end = async (id: string, ...incidents: ((run: Run) => Incident)[]): Promise<Run> => {
        clock.at += 1000;
        let [run] = await create('a', id);
        for (const incident of incidents) {
          const change = stepOf(run!, incident(run!));
          expect(await commitOne('a', change)).toBe('committed');
          run = change.run;
        }
        return run!;
      };
      const succeeds = (run: Run) => answerTo(machine, run, ok());
      const fails = (run: Run) => answerTo(machine, run, error('HTTP 422', { permanent: true }));
      const isCancelled = (): Incident => ({ type: 'cancelled' });
      const everyStatus = ['done', 'failed', 'cancelled'] as const;
      const kept = async () => (await store.list({ limit: 10 })).map(({ id }) => id).toReversed();

      test('forgets final runs of these statuses that ended before, with their histories, and no others', async () => {
        await end('running');
        await end('done', succeeds, succeeds);
        await end('failed', fails);
        await end('cancelled', isCancelled);
        const { updatedAt } = await end('young', isCancelled);
        const old = { before: updatedAt, statuses: ['done', 'cancelled'] as const };
        expect(await store.prunable(old)).toBe(2);
        expect(await store.prune(old, 10)).toBe(2);
        expect(await kept()).toEqual(['running', 'failed', 'young']);
        expect(await store.history('done')).toEqual([]);
        expect(await store.history('failed')).not.toEqual([]);
        expect(await store.prunable(old)).toBe(0);
        expect(await store.prune({ ...old, statuses: ['failed'] }, 10)).toBe(1);
      });

      test('is bounded, and says when no more are left', async () => {
        for (const id of ['r1', 'r2', 'r3']) await end(id, isCancelled);
        const all = { before: Infinity, statuses: everyStatus };
        expect(await store.prune(all, 2)).toBe(2);
        expect(await kept()).toHaveLength(1);
        expect(await store.prune(all, 2)).toBe(1);
        expect(await store.prune(all, 2)).toBe(0);
      });

      test('leaves alone what the machine wrote, and the same key begins a new run', async () => {
        await end('r1', succeeds, succeeds);
        await store.prune({ before: Infinity, statuses: ['done'] }, 10);
        expect(under.todos()).toEqual(['r1']);
        expect(await store.claim('a', refs, [{ id: 'r1', redelivered: true }])).toEqual([
          { type: 'unknown' },
        ]);
        expect(await commitOne('b', begin('r1', 'Buy bread'))).toBe('committed');
        expect((await store.history('r1')).map(({ seq }) => seq)).toEqual([1, 2, 3]);
      });

      test('does not touch a run that was put back to a step, and a step of one that is forgotten is a conflict', async () => {
        const [again, gone] = [await end('again', fails), await end('gone', fails)];
        const retried = (run: Run) => ({ ...redrive(machine, run, clock), expected: run.seq });
        expect((await store.amend(retried(again))).type).toBe('committed');
        expect(await store.prune({ before: Infinity, statuses: everyStatus }, 10)).toBe(1);
        expect(await kept()).toEqual(['again']);
        expect((await store.amend(retried(gone))).type).toBe('conflict');
      });

      test('at the same time by two workers forgets each run once', async () => {
        for (const id of ['r1', 'r2', 'r3']) await end(id, isCancelled);
        const all = { before: Infinity, statuses: everyStatus };
        const counts = await Promise.all([store.prune(all, 2), under.another().prune(all, 2)]);
        expect(counts).toEqual([2, 1]);
      });
    });

    describe('a person', () => {
      test('takes a run from its worker, which is told', async () => {
        const [run] = await create('a', 'r1');
        const change = stepOf(run!, { type: 'cancelled' });
        expect(await store.amend({ ...change, expected: run!.seq })).toEqual({ type: 'committed' });
        expect((await store.renew('a')).evicted).toEqual(['r1']);
        expect((await store.renew('a')).evicted).toEqual([]);
        expect(await commitOne('a', stepOf(run!, answerTo(machine, run!, ok())))).toBe('conflict');
      });

      test('does not overwrite what happened meanwhile', async () => {
        const [run] = await create('a', 'r1');
        await commitOne('a', stepOf(run!, answerTo(machine, run!, ok())));
        expect((await store.amend({ ...stepOf(run!, { type: 'cancelled' }), expected: run!.seq })).type).toBe(
          'conflict',
        );
      });

      test('finds runs by prefix, state, status and machine, the newest first', async () => {
        const [run] = await create('a', 'ab1', 'ab2', 'b%1');
        await commitOne('a', stepOf(run!, { type: 'cancelled' }));
        expect(await store.find('ab', 10)).toEqual(['ab1', 'ab2']);
        expect(await store.find('b%', 10)).toEqual(['b%1']);
        expect(await store.find('%', 10)).toEqual([]);
        const ids = async (filter: object) =>
          (await store.list({ limit: 10, ...filter })).map(({ id }) => id);
        expect(await ids({})).toEqual(['b%1', 'ab2', 'ab1']);
        expect(await ids({ limit: 1 })).toEqual(['b%1']);
        expect(await ids({ state: 'sendingAlert' })).toEqual(['b%1', 'ab2']);
        expect(await ids({ status: 'cancelled' })).toEqual(['ab1']);
        expect(await ids({ machine: 'other' })).toEqual([]);
      });

      test('counts runs by state, with the oldest of each', async () => {
        await create('a', 'r1', 'r2');
        expect(await store.census()).toEqual([
          {
            machine: 'create-todo',
            version: '1',
            status: 'active',
            state: 'sendingAlert',
            count: 2,
            oldest: clock.at,
          },
        ]);
      });
    });

    test('a timer survives as it was', async () => {
      const [run] = await create('a', 'r1');
      const change = stepOf(run!, answerTo(machine, run!, error('away')));
      await commitOne('a', change);
      const kept = (await store.get('r1'))!;
      expect(dueOf(kept)).toEqual(dueOf(change.run));
    });

    test('a worker that was taken for dead learns of it', async () => {
      await under.kill('a');
      await store.renew('b');
      expect((await store.renew('a')).held).toBe(false);
    });

    describe('a worker that was taken for dead', () => {
      const lostLease = { kind: 'unavailable', message: 'the lease ran out' };

      test('creates no run until it has joined again: no run is rejected for that', async () => {
        await under.kill('a');
        await store.renew('b');
        await expect(store.commit('a', [begin('r1')])).rejects.toMatchObject(lostLease);
        expect(await store.get('r1')).toBeUndefined();
        expect(under.todos()).toEqual([]);
        await store.join('a');
        await create('a', 'r1');
      });

      test('claims no run until it has joined again, though the message was redelivered', async () => {
        await create('b', 'r1');
        await under.kill('a');
        await store.renew('b');
        const wanted = [{ id: 'r1', redelivered: true }];
        await expect(store.claim('a', refs, wanted)).rejects.toMatchObject(lostLease);
        expect(await store.resume('b', refs, 10)).toEqual([]); // it is still b's
        await store.join('a');
        expect(await store.claim('a', refs, wanted)).toMatchObject([{ type: 'claimed' }]);
      });
    });

    test('a machine that changed under its version is noticed while unfinished runs of it exist', async () => {
      const [run] = await create('a', 'r1');
      const changed = { ...machine, structure: '{}' };
      expect(await store.prepare([changed])).toEqual(['create-todo@1']);
      await commitOne('a', stepOf(run!, { type: 'cancelled' }));
      expect(await store.prepare([changed])).toEqual([]);
    });

    test('another process’s commit is noticed, one’s own is not', async () => {
      const seen = Promise.withResolvers<void>();
      const watcher = store.watch(seen.resolve);
      const other = under.another();
      await other.join('c');
      await seen.promise;
      watcher.close();
    });

    test('of two processes that create one run at once, one wins', async () => {
      const outcomes = await Promise.all([
        store.commit('a', [begin('r1')]),
        under.another().commit('b', [begin('r1')]),
      ]);
      expect(
        outcomes
          .flat()
          .map(({ type }) => type)
          .toSorted(),
      ).toEqual(['committed', 'conflict']);
    });
  });
};
