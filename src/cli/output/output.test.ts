import { expect, test } from 'vitest';
import { fakeIo, noon } from '../../../test/harness/cli-fixture.ts';
import { tableLines } from './table.ts';
import { age, shownClock, shownTime } from './time.ts';

const terminal = fakeIo({ tty: true }).io;
const pipe = fakeIo().io;

test('a time is ISO 8601 for programs, and the same moment in local time for people', () => {
  expect(shownTime(pipe, noon)).toBe('2026-11-23T12:00:00.000Z');
  const shown = shownTime(terminal, noon);
  expect(shown).toMatch(/^2026-11-2\d \d\d:\d\d:\d\d\.\d{3}$/);
  expect(new Date(shown).getTime()).toBe(noon);
  expect(shownClock(terminal, noon)).toBe(shown.slice(11));
});

test('what seems to lie in the future, because a clock was set back, has no age', () => {
  expect(age(noon + 1000, noon)).toBe('0.0 ms');
  expect(age(noon, noon + 1000)).toBe('1.0 s');
});

test('the widest column that may shrink gives way first, and none gets narrower than 8', () => {
  const columns = [{ head: 'A' }, { head: 'B', shrinks: true }, { head: 'C', shrinks: true }];
  const [, row = ''] = tableLines(terminal, columns, [['a'.repeat(50), 'b'.repeat(60), 'c'.repeat(10)]]);
  expect(row).toBe(`${'a'.repeat(50)}  ${'b'.repeat(15)}…  ${'c'.repeat(10)}`);
  const [, tight = ''] = tableLines(terminal, columns, [['a'.repeat(75), 'b'.repeat(60), 'c'.repeat(60)]]);
  expect(tight).toBe(`${'a'.repeat(75)}  bbbbbbb…  ccccccc…`);
});

test('letters that are two columns wide are counted as two', () => {
  const columns = [{ head: 'A' }, { head: 'B', shrinks: true }];
  const [, fits = ''] = tableLines(terminal, columns, [['a'.repeat(38), '買'.repeat(20)]]);
  expect(fits).toBe(`${'a'.repeat(38)}  ${'買'.repeat(20)}`);
  const [, cut = ''] = tableLines(terminal, columns, [['a'.repeat(39), '買'.repeat(20)]]);
  expect(cut).toMatch(/買…$/);
});

test.each([
  ['on a terminal', terminal, `a  ${'買'.repeat(38)}…`],
  ['in a pipe', pipe, `a  ${'買'.repeat(60_000)}`],
])('many long texts of wide letters are laid out at once %s', (_, io, expected) => {
  const columns = [{ head: 'A' }, { head: 'B', shrinks: true }];
  const rows = Array.from({ length: 50 }, () => ['a', '買'.repeat(60_000)]);
  const before = performance.now();
  expect(tableLines(io, columns, rows)[50]).toBe(expected);
  expect(performance.now() - before).toBeLessThan(5_000); // one of them took minutes
});

test('without heads there is no head line', () => {
  expect(tableLines(pipe, [{ head: '' }, { head: '' }], [['one', 'two']])).toEqual(['one  two']);
  expect(tableLines(pipe, [{ head: '' }], [])).toEqual([]);
});
