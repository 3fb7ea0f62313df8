import { once } from 'node:events';
import { connect, createServer } from 'node:net';

/**
 * Below the ephemeral ports of Linux and macOS: no outgoing connection takes a port while its broker is
 * down, and no client that reconnects to it connects to itself. Each process begins elsewhere.
 */
const first = 20_000;
const count = 12_000;
let next = (process.pid * 61) % count;

/** Ports of the loopback interface on which nobody listens, none of them given out twice. */
export async function freePorts(wanted: number): Promise<number[]> {
  const ports: number[] = [];
  while (ports.length < wanted) {
    const port = first + (next++ % count);
    if (await isFree(port)) ports.push(port);
  }
  return ports;
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer().listen({ port, host: '127.0.0.1' });
  try {
    await once(server, 'listening');
    return true;
  } catch {
    return false;
  } finally {
    server.close();
  }
}

export async function isOpen(port: number): Promise<boolean> {
  const socket = connect({ port, host: '127.0.0.1' });
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
