import { describe, expect, test } from 'vitest';
import { cli, newStore } from '../../test/harness/cli-fixture.ts';

const url = 'amqp://me:s3cret@mq/';

describe('what a command line was given by mistake is not shown with its password', () => {
  test.each([
    [[url]],
    [['inspect', url]],
    [['list', '--limit', url]],
    [['list', '-o', url]],
    [['--debug', 'submit', 'x', '--queue', 'amqp://me:s3cret@mq:port/']],
    [['--debug', 'submit', 'x', '--queue', 'amqp://me:/s3cret@mq/']],
    [['submit', 'x', '--audit-url', url]],
    [['submit', 'x', '--machine', 'amqp://me: s3cret@mq/']],
    [['retry', url, '--store', ':memory:']],
  ])('%j', async (args) => {
    const { code, out, err } = await cli(args);
    expect(code).not.toBe(0);
    expect(err).not.toBe('');
    expect(`${out}${err}`).not.toContain('s3cret');
  });
});

describe('what a command line was given cannot move a cursor or forge a line', () => {
  const hostile = 'x\nFORGED\u001b[2J\u202e';
  test.each([
    [[hostile]],
    [['list', '-o', hostile]],
    [['inspect', hostile, '--store', ':memory:']],
    [['submit', 'x', '--machine', hostile]],
    [['--debug', 'submit', 'x', '--machine', hostile]],
    [['submit', 'x', '--prefix', hostile]],
    [['submit', '--input', JSON.stringify({ title: 'x', [hostile]: 1 })]],
    [['diagram', hostile]],
  ])('%j', async (args) => {
    const { err } = await cli(args);
    expect(err).not.toMatch(/^(holdfast: )?FORGED/m);
    expect(err.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Cf}]/u);
  });
});

test('what a conflict names of the other submission cannot forge a line', async () => {
  const { path: file, db, begin } = await newStore();
  await begin('milk', 'Milk');
  await db.write(() =>
    db.run(`UPDATE runs SET input = :input, fingerprint = 'another'`, { input: '{"\\nFORGED":1}' }),
  );
  const { code, err } = await cli(['submit', 'Milk', '--key', 'milk', '--store', file]);
  expect(code).toBe(5);
  expect(err).toMatch(/^holdfast: conflict: .*FORGED.*\n$/);
});
