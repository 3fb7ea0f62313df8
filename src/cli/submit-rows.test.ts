import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Readable } from 'node:stream';
import { describe, expect, test } from 'vitest';
import { fakeIo, todos } from '../../test/harness/cli-fixture.ts';
import { tempDir } from '../../test/harness/tmp.ts';
import { maxBodyBytes } from '../queue/queue.ts';
import type { Queue, Submission } from '../queue/queue.ts';
import { submitRows } from './submit-rows.ts';

/** Submits what a file holds, to a queue that takes everything. */
const submitFile = async (content: string | Buffer) => {
  const file = path.join(tempDir(), 'todos.ndjson');
  writeFileSync(file, content);
  return submitTo(file, fakeIo());
};

const submitTo = async (file: string, { io, out, err }: ReturnType<typeof fakeIo>) => {
  const taken: Submission[] = [];
  const queue = {
    publish: async (submission: Submission) => void taken.push(submission),
  } as unknown as Queue;
  const target = { registry: todos(), queue, archive: undefined };
  const code = await submitRows(target, { file, machine: 'create-todo' }, undefined, io);
  return {
    code,
    said: err(),
    printed: out().split('\n').slice(0, -1),
    ids: taken.map(({ id }) => id),
    titles: taken.map(({ body }) => (JSON.parse(String(body)) as { title: string }).title),
  };
};

const row = (title: string, more: object = {}) => JSON.stringify({ title, ...more });

test('a file may be larger than the memory: what was accepted is not kept', async () => {
  setFlagsFromString('--expose-gc');
  const gc = runInNewContext('gc') as () => void;
  const file = path.join(tempDir(), 'todos.ndjson');
  writeFileSync(file, `${row('Buy milk')}\n`.repeat(1000));
  const bodies: WeakRef<Buffer>[] = [];
  let kept = Infinity;
  const publish = async ({ body }: Submission) => {
    bodies.push(new WeakRef(body));
    if (bodies.length < 1000) return;
    await new Promise(setImmediate); // a reference that was just made is a strong one until then
    gc();
    kept = bodies.filter((one) => one.deref() !== undefined).length;
  };
  const target = { registry: todos(), queue: { publish } as unknown as Queue, archive: undefined };
  expect(await submitRows(target, { file, machine: 'create-todo' }, undefined, fakeIo().io)).toBe(0);
  expect(kept).toBeLessThan(500);
});

describe('a row', () => {
  test('may have a line separator in its texts', async () => {
    const { code, titles } = await submitFile(`${row('a\u2028b')}\n${row('c\u2029d')}\n${row('e\u0085f')}\n`);
    expect(code).toBe(0);
    expect(titles).toEqual(['a\u2028b', 'c\u2029d', 'e\u0085f']);
  });

  test('may end with a carriage return and a line feed, and the last one with nothing', async () => {
    const { code, titles, said } = await submitFile(`${row('a')}\r\n\r\n${row('b')}\r\n${row('c')}`);
    expect(code).toBe(0);
    expect(titles).toEqual(['a', 'b', 'c']);
    expect(said).toBe('3 accepted\n');
  });

  test('over the limit is refused by its line, and the others go on', async () => {
    const tooLong = [row('x'.repeat(3 * maxBodyBytes)), row('x', { notes: 'x'.repeat(maxBodyBytes) })];
    const { code, titles, said } = await submitFile([row('a'), ...tooLong, row('b'), ''].join('\n'));
    expect(code).toBe(2);
    expect(titles).toEqual(['a', 'b']);
    expect(said).toContain(`line 2: the row is longer than ${2 * maxBodyBytes} characters\n`);
    expect(said).toContain(
      `line 3: the input is ${maxBodyBytes + 24} bytes long; ${maxBodyBytes} are allowed\n`,
    );
    expect(said).toContain('2 accepted, 2 refused\n');
  });

  test.each([
    ['no JSON', '{"title":', 'it is not JSON'],
    ['no object', '["a"]', 'it is not a JSON object'],
    ['no todo', '{"title":7}', 'title: '],
    ['a key that is no text', '{"title":"a","key":7}', 'key: is not a text'],
  ])('that is %s is refused by its line, and the others go on', async (_, bad, problem) => {
    const { code, titles, said } = await submitFile(`${row('a')}\n${bad}\n${row('b')}\n`);
    expect(code).toBe(2);
    expect(titles).toEqual(['a', 'b']);
    expect(said).toContain(`line 2: ${problem}`);
  });

  test('is whole although its characters are divided among chunks of stdin', async () => {
    const bytes = Buffer.from(`${row('ü🙂')}\n${row('b')}`);
    const fake = fakeIo();
    const io = { ...fake.io, in: Readable.from([...bytes].map((byte) => Buffer.of(byte))) };
    expect((await submitTo('-', { ...fake, io })).titles).toEqual(['ü🙂', 'b']);
  });
});

describe('the id of a row', () => {
  const rows = `${row('a')}\n${row('a')}\n${row('b', { key: 'order-4711' })}\n`;

  test('is its own key, if it has one, and is printed', async () => {
    const { ids, printed } = await submitFile(rows);
    expect(ids[2]).toBe('order-4711');
    expect(new Set(ids).size).toBe(3);
    expect(printed.toSorted()).toEqual(ids.toSorted());
  });

  test('is the same when the same file is submitted again, and another one in another file', async () => {
    const first = await submitFile(rows);
    expect((await submitFile(rows)).ids).toEqual(first.ids);
    const other = await submitFile(`${rows}${row('c')}\n`);
    expect(other.ids.filter((id) => first.ids.includes(id))).toEqual(['order-4711']);
  });
});

test('a row that ends within a character is refused', async () => {
  const { code, titles } = await submitFile(Buffer.concat([Buffer.from(row('a')), Buffer.of(0xc3)]));
  expect(titles).toEqual([]);
  expect(code).toBe(2);
});
