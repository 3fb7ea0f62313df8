import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { Agent } from 'undici';
import { expect, onTestFinished, test } from 'vitest';
import { exchange } from './exchange.ts';

/** A server behind one connection; `closings` has one for each that was made. */
const serve = async (answer: (request: IncomingMessage, response: ServerResponse) => void) => {
  const server = createServer(answer).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const closings: Promise<unknown>[] = [];
  server.on('connection', (socket) => closings.push(new Promise((resolve) => socket.once('close', resolve))));
  const agent = new Agent({ connections: 1 });
  onTestFinished(async () => {
    await agent.destroy();
    server.closeAllConnections();
    server.close();
  });
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const get = (signal = new AbortController().signal) =>
    exchange(agent, { origin, path: '/', method: 'GET' }, signal);
  return { get, closings };
};

test.each([200, 404])('after a small body the connection of a %i is used again', async (status) => {
  const { get, closings } = await serve(
    (_, response) => void response.writeHead(status).end('x'.repeat(20_000)),
  );
  for (let count = 0; count < 3; count += 1) expect(await get()).toMatchObject({ status });
  expect(closings).toHaveLength(1);
});

test('a body that goes on and on is closed soon', async () => {
  let socket: Socket | undefined;
  const { get, closings } = await serve((request, response) => {
    ({ socket } = request);
    const more = () => void response.write('x'.repeat(10_000), more);
    more();
  });
  expect(await get()).toEqual({ status: 200, retryAfter: undefined, excerpt: '' });
  await closings[0];
  expect(socket!.bytesWritten).toBeLessThan(10_000_000); // in a second it would be a hundred times that
});

test('a refusal whose body does not come counts with what there is of it, and is closed', async () => {
  const { get, closings } = await serve((_, response) => {
    response.writeHead(422, { 'retry-after': '7' });
    response.write('no such'); // and never an end
  });
  expect(await get()).toEqual({ status: 422, retryAfter: '7', excerpt: 'no such' });
  await closings[0];
});

test('a body that breaks off says nothing against its status', async () => {
  const { get } = await serve((request, response) => {
    response.writeHead(400, { 'content-length': 100 });
    response.write('half', () => request.socket.destroy());
  });
  expect(await get()).toMatchObject({ status: 400, excerpt: 'half' });
});

test('the excerpt is one line, whatever the packets cut in two', async () => {
  const { get } = await serve((_, response) => {
    const body = Buffer.from('ein\nü');
    response.writeHead(400);
    response.write(body.subarray(0, 5), () => response.end(body.subarray(5)));
  });
  expect(await get()).toMatchObject({ excerpt: 'ein ü' });
});

test('hints that come before it are not the answer', async () => {
  let asked = 0;
  const { get } = await serve(({ socket }, response) => {
    response.writeEarlyHints({ link: '</style.css>; rel=preload' });
    asked += 1;
    if (asked === 1) response.writeHead(201).end();
    else setImmediate(() => socket.destroy());
  });
  expect(await get()).toMatchObject({ status: 201 });
  await expect(get()).rejects.toThrow('other side closed');
});

test('what is given up is told at once: before it begins, while it waits for a connection, while it runs', async () => {
  const asked = Promise.withResolvers<unknown>();
  const { get } = await serve(asked.resolve);
  const reason = new Error('given up');
  await expect(get(AbortSignal.abort(reason))).rejects.toBe(reason);
  const [running, waiting] = [new AbortController(), new AbortController()];
  const first = get(running.signal);
  const second = get(waiting.signal);
  await asked.promise;
  waiting.abort(reason);
  await expect(second).rejects.toBe(reason);
  running.abort(reason);
  await expect(first).rejects.toBe(reason);
});
