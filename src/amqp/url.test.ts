import { inspect } from 'node:util';
import { describe, expect, test } from 'vitest';
import { AmqpError } from './error.ts';
import { parseAddress } from './url.ts';

const failure = (text: string): unknown => {
  try {
    return parseAddress(text);
  } catch (error) {
    return error;
  }
};

describe('the address of a broker', () => {
  test.each([
    ['amqp://localhost', 'amqp://localhost:5672/'],
    ['amqps://mq.example.org', 'amqps://mq.example.org:5671/'],
    ['amqp://me:s3cret@mq:7000/orders?heartbeat=5', 'amqp://mq:7000/orders'],
    ['amqp://me:s3cret@[::1]/%2Fa', 'amqp://[::1]:5672/%2Fa'],
  ])('%s is shown as %s', (text, name) => {
    expect(parseAddress(text).name).toBe(name);
  });

  test('what is left out is the default of RabbitMQ', () => {
    expect(parseAddress('amqp://localhost').options).toEqual({
      protocol: 'amqp',
      hostname: 'localhost',
      port: 5672,
      username: 'guest',
      password: 'guest',
      vhost: '/',
      heartbeat: 10,
    });
  });

  test('credentials are decoded as UTF-8, the virtual host is left to amqplib', () => {
    const { options } = parseAddress('amqp://j%C3%BCrg:p%40ss%2F@[::1]:7000/%2Fa?heartbeat=0');
    expect(options).toMatchObject({
      username: 'jürg',
      password: 'p@ss/',
      hostname: '::1',
      vhost: '%2Fa',
      heartbeat: 0,
    });
  });

  test.each([
    'http://me:s3cret@mq/',
    'amqp://me:s3cret@mq:port/',
    'amqp://me:s3cret@/vhost',
    'amqp://me:s3cret%ff@mq/',
    'amqp://me:s3cret@mq/?heartbeat=often',
    'me:s3cret@mq',
    'amqp://me:/s3cret@mq/',
    'amqp://me:12/s3cret@mq/',
    'amqp://me:#s3cret@mq/',
    '',
  ])('what cannot be read is refused without showing it: %s', (text) => {
    const error = failure(text);
    expect(error).toBeInstanceOf(AmqpError);
    expect(error).toMatchObject({ kind: 'refused' });
    expect(inspect(error, { depth: Infinity, showHidden: true })).not.toContain('s3cret');
  });
});
