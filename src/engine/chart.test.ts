import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, test } from 'vitest';
import { testClock, todoMachine } from '../../test/harness/engine.ts';
import { start, wantedCalls } from './interpreter.ts';

const heapUsed = (): number => {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
  return process.memoryUsage().heapUsed;
};

test('of many records that wait, no more is kept than their text', () => {
  const machine = todoMachine();
  const { run } = start(machine, 'a', { title: 'Buy milk' }, testClock());
  const waiting = Array.from({ length: 20_000 }, () => ({ ...run }));
  const before = heapUsed();
  for (const record of waiting) wantedCalls(machine, record);
  expect((heapUsed() - before) / waiting.length).toBeLessThan(200); // bytes; parsed, one has about a thousand
});
