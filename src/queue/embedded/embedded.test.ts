import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { tempDir } from '../../../test/harness/tmp.ts';
import { openDatabase } from '../../sqlite/database.ts';
import type { Database } from '../../sqlite/database.ts';
import { DatabaseError } from '../../sqlite/errors.ts';
import { SqliteStore } from '../../store/sqlite/sqlite-store.ts';
import { inbox, publish } from '../inbox.suite.ts';
import { describeQueue } from '../queue.suite.ts';
import { EmbeddedQueue } from './embedded-queue.ts';
import type { EmbeddedOptions } from './embedded-queue.ts';

const lap = 1500;

describeQueue('embedded', {
  open: async () => {
    const folder = mkdtempSync(join(tmpdir(), 'holdfast-'));
    const path = join(folder, 'queue.db');
    const connections: Database[] = [];
    /** A connection of its own, as another process has it. */
    const open = (): EmbeddedQueue => {
      const db = openDatabase(path);
      connections.push(db);
      return new EmbeddedQueue(db, { lapMs: lap });
    };
    return {
      queue: open(),
      another: async () => open(),
      lap,
      cleanup: async () => {
        for (const connection of connections) connection.close();
        rmSync(folder, { recursive: true });
      },
    };
  },
});

const open = (options: EmbeddedOptions = {}) => {
  const db = openDatabase(join(tempDir(), 'queue.db'));
  const queue = new EmbeddedQueue(db, options);
  onTestFinished(async () => {
    await queue.close();
    db.close();
  });
  return { db, queue };
};

describe('a settlement that cannot be written at first', () => {
  const locked = new DatabaseError('unavailable', 'another process keeps it locked');
  const nothing = { ready: 0, waiting: 0, dead: 0 };

  test.each([
    ['ack', [], nothing],
    ['later', [{ holder: null }], { ...nothing, waiting: 1 }],
    ['deadLetter', [], { ...nothing, dead: 1 }],
  ] as const)('is written later: %s', async (how, messages, depth) => {
    const { db, queue } = open();
    await publish(queue, 'a');
    const delivery = await inbox(queue).next();
    const write = vi.spyOn(db, 'write').mockRejectedValueOnce(locked).mockRejectedValueOnce(locked);
    const settled = delivery[how]('not JSON');
    expect(write).toHaveBeenCalledOnce();
    await vi.waitFor(() => expect(db.all('SELECT holder FROM messages')).toEqual(messages), {
      timeout: 5000,
    });
    await settled;
    expect(await queue.depth()).toEqual(depth);
  });
});

describe('the clock', () => {
  test('that is set back by an hour does not delay what was published before', async () => {
    let now = Date.now();
    const { queue } = open({ now: () => now });
    await publish(queue, 'a');
    now -= 3_600_000;
    const { next } = inbox(queue);
    expect((await next()).message.id).toBe('a');
    now -= 3_600_000;
    await publish(queue, 'b');
    expect((await next()).message.id).toBe('b');
  });

  test('that is set back by an hour makes no lap longer than it is', async () => {
    let now = Date.now();
    const { queue } = open({ now: () => now, lapMs: 200 });
    await publish(queue, 'a');
    const { next, consumer } = inbox(queue);
    (await next()).later();
    await vi.waitFor(async () => expect(await queue.depth()).toMatchObject({ waiting: 1 }));
    await consumer.stop();
    now -= 3_600_000;
    const tick = setInterval(() => (now += 10), 10);
    onTestFinished(() => clearInterval(tick));
    expect((await inbox(queue).next()).message.id).toBe('a');
  });

  test('is never asked to wake the queue later than a timer can last: a lap may take a month', async () => {
    const { queue } = open({ lapMs: 30 * 86_400_000 });
    await publish(queue, 'a');
    const { next } = inbox(queue);
    const delivery = await next();
    const timers = vi.spyOn(globalThis, 'setTimeout');
    onTestFinished(() => timers.mockRestore());
    delivery.later();
    const delays = await vi.waitFor(() => {
      const long = timers.mock.calls.map(([, ms = 0]) => ms).filter((ms) => ms > 1_800_000);
      expect(long).not.toEqual([]);
      return long;
    });
    expect(Math.max(...delays)).toBeLessThan(2 ** 31); // more than that, and Node fires at once
  });
});

test('a settlement that cannot be written before the queue closes goes to another', async () => {
  const { db, queue } = open();
  await publish(queue, 'a');
  const delivery = await inbox(queue).next();
  vi.spyOn(db, 'write').mockRejectedValueOnce(new DatabaseError('unavailable', 'locked'));
  delivery.ack();
  await queue.close();
  const heir = new EmbeddedQueue(db);
  const { message, redelivered } = await inbox(heir).next();
  expect(message.id).toBe('a');
  expect(redelivered).toBe(true);
  await heir.close();
});

test(
  'what a dead worker held is taken at once when this very process buries it',
  { timeout: 5000 },
  async () => {
    const { db, queue } = open();
    const elsewhere = openDatabase(db.path);
    onTestFinished(() => elsewhere.close());
    await publish(queue, 'a');
    const doomed = inbox(new EmbeddedQueue(elsewhere));
    await doomed.next();
    await elsewhere.write(() => void elsewhere.run('UPDATE workers SET pid = 999999999'));
    const { next, received } = inbox(queue);
    await db.write(() => {}); // it has looked, and found nothing to take
    expect(received).toEqual([]);
    await new SqliteStore(db).renew('heir');
    const { message, redelivered } = await next();
    expect({ id: message.id, redelivered }).toEqual({ id: 'a', redelivered: true });
  },
);
