/**
 * The audit service of the soak, a process of its own: `node receiver.ts <prefix of the ids>`. It counts what it
 * takes, and goes into the moods that it is told to.
 */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { answer } from '../bench/child.ts';
import { Effects, idsOf } from './ledger.ts';
import type { ReceiverMood } from './plan.ts';

const effects = new Effects(idsOf(process.argv[2]!), 'sendAudit');
let mood: ReceiverMood | 'up' = 'up';

const receive = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
  const body = await text(request);
  if (mood === 'refusing') {
    response.writeHead(503, { 'content-length': 0 }).end();
    return;
  }
  const { todo } = JSON.parse(body) as { todo: { id: string } };
  effects.note({ key: JSON.parse(request.headers['idempotency-key'] as string) as string, todo: todo.id });
  if (mood === 'mute') request.socket.destroy();
  else response.writeHead(201, { 'content-length': 0 }).end();
};

const server = createServer({ keepAliveTimeout: 60_000 }, (request, response) => {
  // A worker that is killed in the middle of a request is no news.
  receive(request, response).catch(() => response.destroy());
});
server.listen(0, '127.0.0.1');
await once(server, 'listening');
const { port } = server.address() as AddressInfo;

const go = async (to: ReceiverMood | 'up'): Promise<void> => {
  mood = to;
  if (to === 'gone' && server.listening) {
    server.close();
    server.closeAllConnections();
  }
  if (to === 'up' && !server.listening) {
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
  }
};

answer({
  url: () => `http://127.0.0.1:${port}/audit`,
  mood: go,
  distinct: () => effects.distinct,
  seen: () => effects.seen(),
  stop: () => {},
});
