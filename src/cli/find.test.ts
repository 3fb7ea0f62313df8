import { Readable } from 'node:stream';
import { expect, test } from 'vitest';
import { fakeIo, newStore } from '../../test/harness/cli-fixture.ts';
import { findRun, pick, readIds } from './find.ts';

test('a run is found by its id, or by a beginning that only it has', async () => {
  const { store, begin } = await newStore();
  await begin('milk-1', 'Milk');
  await begin('bread-1', 'Bread');
  expect((await findRun(store, 'milk-1')).id).toBe('milk-1');
  expect((await findRun(store, 'm')).id).toBe('milk-1');
});

test('an exact id wins over longer ones that begin with it', async () => {
  const { store, begin } = await newStore();
  await begin('milk', 'Milk');
  await begin('milk-2', 'More milk');
  expect((await findRun(store, 'milk')).id).toBe('milk');
  expect(pick('run', 'milk', ['milk-2', 'milk'])).toBe('milk');
});

test('an unknown id is not found', async () => {
  const { store, begin } = await newStore();
  await begin('milk', 'Milk');
  await expect(findRun(store, 'bread')).rejects.toMatchObject({
    exitCode: 4,
    message: expect.stringContaining('no run has the id bread'),
  });
  await expect(findRun(store, '')).rejects.toMatchObject({ exitCode: 2 });
});

test('an ambiguous beginning is not found, and lists ten candidates at most', async () => {
  const { store, begin } = await newStore();
  for (let number = 10; number < 22; number += 1) await begin(`milk-${number}`, 'Milk');
  await expect(findRun(store, 'milk-20')).resolves.toMatchObject({ id: 'milk-20' });
  await expect(findRun(store, 'milk-2')).rejects.toMatchObject({
    exitCode: 4,
    message: 'several runs have an id that begins with milk-2:\n  milk-20\n  milk-21',
  });
  await expect(findRun(store, 'milk')).rejects.toThrow(/:\n  milk-10\n(.*\n){8}  milk-19\n  …$/);
});

test('what was typed and what is stored cannot move the cursor from within the message', async () => {
  const { store, begin } = await newStore();
  await begin('milk\u202e-1', 'Milk');
  await begin('milk\u202e-2', 'Milk');
  await expect(findRun(store, 'milk')).rejects.toMatchObject({
    message: expect.stringContaining('milk\\u202e-1'),
  });
  await expect(findRun(store, 'x\u001b[2J')).rejects.toMatchObject({
    message: expect.stringContaining('x\\u001b[2J'),
  });
});

test('ids come from the command line and, for a dash, from stdin; none comes twice', async () => {
  const { io } = fakeIo({ input: 'one\r\ntwo\n\nthree with spaces' });
  expect(await readIds(['zero', '-', 'two'], io)).toEqual(['zero', 'one', 'two', 'three with spaces']);
});

test('a stream without an end is not read as an id', async () => {
  const { io } = fakeIo();
  let read = 0;
  const endless = async function* () {
    for (;;) {
      read += 1;
      yield Buffer.alloc(64 * 1024, 'x');
      if (read > 100) yield Buffer.from('\n');
    }
  };
  const given = readIds(['-'], { ...io, in: Readable.from(endless()) });
  await expect(given).rejects.toMatchObject({
    exitCode: 2,
    message: 'line 1 of stdin is longer than any id',
  });
});
