import { expect, onTestFinished, test, vi } from 'vitest';
import { error, ok, testClock } from '../../test/harness/engine.ts';
import type { CallResult } from '../engine/run.ts';
import { Circuit } from './circuit.ts';

const away = error('nobody answers');

/** A circuit, with a clock that rings when a test says so. */
const open = ({ limit = 8, base = 100, cap = 1000 } = {}) => {
  const clock = testClock(1_000_000, 1);
  const alarms: { at: number; ring: () => void }[] = [];
  const said: string[] = [];
  let rooms = 0;
  const scheduler = {
    monotonic: () => clock.at,
    soon: () => {},
    after(ms: number, ring: () => void) {
      const alarm = { at: clock.at + ms, ring };
      alarms.push(alarm);
      return () => void alarms.splice(alarms.indexOf(alarm), 1);
    },
  };
  const say = (_: object, message: string) => void said.push(message);
  const circuit = new Circuit({
    call: { machine: 'm', call: 'c' },
    limit,
    probing: { base, cap },
    clock,
    scheduler,
    log: { debug: say, info: say, warn: say, error: say },
    onRoom: () => (rooms += 1),
  });
  let keys = 0;
  const call = async (result: CallResult | undefined, key = `k${(keys += 1)}`) =>
    circuit.end(circuit.begin(), key, result);
  const fail = async (times: number) => {
    for (let time = 0; time < times; time++) await call(away);
  };
  /** Goes on to the next probe. Returns how long that took, in ms. */
  const untilProbe = () => {
    const alarm = alarms.shift()!;
    const pause = alarm.at - clock.at;
    clock.at = alarm.at;
    alarm.ring();
    return pause;
  };
  return { circuit, clock, alarms, said, call, fail, untilProbe, rooms: () => rooms };
};

test('calls of five runs that fail in a row say that the receiver is away, and nobody else is let through', async () => {
  const { circuit, clock, fail, said } = open();
  await fail(4);
  expect(circuit).toMatchObject({ away: undefined, admits: true });
  await fail(1);
  expect(circuit.away).toEqual({
    since: clock.at,
    error: 'nobody answers',
    nextProbeAt: clock.at + 100,
  });
  expect(circuit.admits).toBe(false);
  expect(said).toEqual(['no call gets through to the receiver: they wait, and one at a time tries it']);
});

test.each([
  ['an answer', ok()],
  ['a permanent error, which is an answer, too,', error('HTTP 422', { permanent: true })],
])('%s in between says that it is there', async (_, result) => {
  const { circuit, call, fail } = open();
  await fail(4);
  await call(result);
  await fail(4);
  expect(circuit.away).toBeUndefined();
});

test('permanent errors never open it, nor does one run that fails again and again, nor calls that were given up', async () => {
  const { circuit, call } = open();
  for (let time = 0; time < 20; time++) {
    await call(error('HTTP 422', { permanent: true }));
    await call(undefined);
  }
  for (let time = 0; time < 20; time++) await call(away, 'the one');
  expect(circuit.away).toBeUndefined();
});

test('one probe at a time, after pauses that double up to the cap', async () => {
  const { circuit, fail, untilProbe, rooms } = open();
  await fail(5);
  const pauses: number[] = [];
  for (let probe = 0; probe < 6; probe++) {
    pauses.push(untilProbe());
    expect(circuit.admits).toBe(true);
    const ticket = circuit.begin();
    expect(circuit.admits).toBe(false);
    await circuit.end(ticket, `p${probe}`, away);
  }
  expect(pauses).toEqual([100, 200, 400, 800, 1000, 1000]);
  expect(rooms()).toBe(6);
});

test('a receiver that asks to be left alone is, but no longer than the cap', async () => {
  const { call, fail, untilProbe } = open();
  await fail(4);
  await call(error('HTTP 429', { retryAfter: 700 }));
  expect(untilProbe()).toBe(700);
  await call(error('HTTP 429', { retryAfter: 86_400_000 }));
  expect(untilProbe()).toBe(1000);
});

test('a probe that is given up says nothing, and the next one goes at once', async () => {
  const { circuit, call, fail, untilProbe, alarms } = open();
  await fail(5);
  untilProbe();
  await call(undefined);
  expect(circuit.admits).toBe(true);
  expect(circuit.away).toBeDefined();
  expect(alarms).toEqual([]);
});

test('a probe that is answered lets calls through again, few at first', async () => {
  const { circuit, call, fail, untilProbe, said } = open();
  await fail(5);
  untilProbe();
  await call(away);
  untilProbe();
  await call(ok());
  expect(circuit.away).toBeUndefined();
  expect(said.at(-1)).toBe('calls get through to the receiver again: they go on, few at first');
  const first = circuit.begin();
  expect(circuit.admits).toBe(false);
  await circuit.end(first, 'a', ok());
  circuit.begin();
  circuit.begin();
  expect(circuit.admits).toBe(false);
});

test('calls that began before the receiver went away say nothing of how it is now', async () => {
  const { circuit, call, fail, untilProbe } = open({ limit: 100 });
  const early = Array.from({ length: 20 }, () => circuit.begin());
  await fail(5);
  await circuit.end(early.pop()!, 'x', ok());
  expect(circuit.away).toBeDefined();
  untilProbe();
  await call(ok());
  for (const [index, ticket] of early.entries()) await circuit.end(ticket, `early${index}`, away);
  expect(circuit).toMatchObject({ away: undefined, admits: true });
  circuit.begin();
  expect(circuit.admits).toBe(false); // none of them made room
});

test('many that fail in the same moment open it once', async () => {
  const { circuit, alarms, said } = open({ limit: 100 });
  const tickets = Array.from({ length: 50 }, () => circuit.begin());
  await Promise.all(tickets.map((ticket, index) => circuit.end(ticket, `k${index}`, away)));
  expect(alarms).toHaveLength(1);
  expect(said).toHaveLength(1);
});

test('a clock that is set back delays no probe', async () => {
  const { circuit, clock, call, fail, untilProbe } = open();
  await fail(5);
  untilProbe();
  clock.at -= 3_600_000;
  const anHourAgo = Date.now() - 3_600_000;
  const set = vi.spyOn(Date, 'now').mockReturnValue(anHourAgo);
  onTestFinished(() => set.mockRestore());
  await call(ok());
  expect(circuit.away).toBeUndefined();
});

test('closed, it probes no more', async () => {
  const { circuit, alarms, fail } = open();
  await fail(5);
  circuit.close();
  expect(alarms).toEqual([]);
});

test('a receiver that takes no more than so many at once is slowed down for, and not given up', async () => {
  const { circuit, call, fail, untilProbe, said } = open({ limit: 100 });
  await fail(5);
  untilProbe();
  await call(ok());
  for (let time = 0; time < 39; time++) await call(ok());
  const together = Array.from({ length: 40 }, () => circuit.begin());
  for (const [index, ticket] of together.slice(0, 20).entries()) await circuit.end(ticket, `x${index}`, away);
  expect(circuit).toMatchObject({ away: undefined, admits: false });
  for (const ticket of together.slice(20)) await circuit.end(ticket, 'y', ok());
  expect(circuit.admits).toBe(true);
  await fail(4);
  expect(circuit.away).toBeUndefined();
  await fail(1);
  expect(circuit.away).toBeDefined();
  expect(said).toHaveLength(3);
});

test('once it is closed, no alarm is set any more, whatever the calls that still run bring', async () => {
  const { circuit, call, fail, untilProbe, alarms } = open();
  await fail(5);
  untilProbe();
  circuit.close();
  await call(away);
  expect(alarms).toEqual([]);
});
