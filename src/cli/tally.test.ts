import { expect, test } from 'vitest';
import { tallyOf } from './tally.ts';

const effect = (todo: string, key = `${todo}/call`) => ({ key, todo });
const whole = {
  accepted: ['a', 'b'],
  todos: ['a', 'b'],
  alerts: [effect('a'), effect('b')],
  audits: [effect('a'), effect('b')],
};

test('everything once is nothing lost, phantom, doubled or repeated', () => {
  expect(tallyOf(whole)).toEqual({
    accepted: 2,
    todos: 2,
    alerts: 2,
    audits: 2,
    lost: 0,
    phantom: 0,
    doubled: 0,
    repeats: 0,
  });
});

test.each([
  ['a todo', { todos: ['a'] }, { lost: 1, phantom: 2 }],
  ['an alert', { alerts: [effect('a')] }, { lost: 1 }],
  ['an audit', { audits: [effect('b')] }, { lost: 1 }],
])('%s that is missing is lost', (_, change, counted) => {
  expect(tallyOf({ ...whole, ...change })).toMatchObject(counted);
});

test('an effect for a todo that was not saved is a phantom', () => {
  expect(tallyOf({ ...whole, alerts: [...whole.alerts, effect('z')] })).toMatchObject({
    lost: 0,
    phantom: 1,
  });
});

test('an effect under a second key is doubled, one under its own key a repeat', () => {
  expect(tallyOf({ ...whole, audits: [...whole.audits, effect('a', 'other')] })).toMatchObject({
    doubled: 1,
    repeats: 0,
  });
  expect(tallyOf({ ...whole, audits: [...whole.audits, effect('a')] })).toMatchObject({
    doubled: 0,
    repeats: 1,
  });
});

test('a todo that was saved twice is doubled', () => {
  expect(tallyOf({ ...whole, todos: ['a', 'a', 'b'] })).toMatchObject({ doubled: 1 });
});
