/** What is measured, a peer or one of our own: seen from outside, all alike. */
import { randomUUIDv7 } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { quiet } from '../../src/cli/log.ts';
import { openAmqp } from '../../src/queue/amqp/open.ts';
import { startChild } from '../child.ts';
import type { Child } from '../child.ts';
import { fill, openSubject } from '../subject.ts';
import type { Surroundings } from '../subject.ts';
import type { Peer, PeerName, Submission } from './peer.ts';
import { startServer } from './servers.ts';
import type { Server } from './servers.ts';
import type { WorkerOptions } from './worker.ts';

/** Used once: a queue and a store that nobody used before. */
export type Contender = {
  /** Of its server, where it has one. */
  readonly serverVersion: string | undefined;
  /** Resolves when so many new todos are safe in its queue. */
  readonly fill: (count: number) => Promise<void>;
  /** Lets it work. */
  readonly start: () => Promise<void>;
  /**
   * Waits until it has finished so many for good, and ends it. Resolves to how many alerts came more than once.
   * @throws where a todo is not saved, its alert not sent, or its workflow not finished
   */
  readonly finish: (count: number) => Promise<number>;
  /** Frees everything, whatever happened. */
  readonly close: () => Promise<void>;
};

export const openOurs = async (
  name: 'floor' | 'holdfast',
  surroundings: Surroundings,
): Promise<Contender> => {
  const subject = openSubject(name, surroundings);
  let worker: Child | undefined;
  return {
    serverVersion: undefined,
    fill: async (count) => void (await fill(subject, count)),
    start: async () => {
      worker = await subject.start();
    },
    finish: async (count) => {
      await worker!.stop();
      await subject.prove(count);
      return 0;
    },
    close: async () => {
      await worker?.kill();
      await subject.close();
    },
  };
};

export type PeerSurroundings = Surroundings & { readonly schema: string | undefined };

export const openPeer = async (
  name: PeerName,
  peer: Peer,
  { amqpUrl, auditUrl, inFlight, folder: parent, schema }: PeerSurroundings,
): Promise<Contender> => {
  const folder = mkdtempSync(path.join(parent, `${name}-`));
  const amqp = openAmqp({ url: amqpUrl, prefix: `bench.${randomUUIDv7()}`, log: quiet });
  let server: Server | undefined;
  let worker: Child | undefined;
  const close = async () => {
    await worker?.kill();
    await server?.stop();
    await amqp.remove();
    await amqp.queue.close();
    rmSync(folder, { recursive: true, force: true });
  };
  const countAlerts = () =>
    amqp.publisher.perform(async (channel) => (await channel.checkQueue(amqp.topology.alerts)).messageCount, {
      patience: 10_000,
    });
  try {
    await countAlerts(); // the queue is there before the first alert comes
    if (peer.server) server = await startServer(peer.server, folder);
    const options: WorkerOptions = {
      amqpUrl,
      exchange: amqp.topology.events,
      auditUrl,
      connections: Math.ceil(inFlight / 2),
      serverUrl: server?.url ?? '',
      adminUrl: server?.adminUrl ?? '',
      folder,
      schema,
    };
    worker = await startChild('peers/worker.ts', [name, JSON.stringify(options)], {
      execArgv: ['--no-deprecation'],
    });
  } catch (error) {
    await close();
    throw error;
  }
  const { ask, stop } = worker;
  return {
    serverVersion: server?.version,
    fill: async (count) => {
      const all = Array.from({ length: count }, submission);
      const atOnce = 1000;
      for (let from = 0; from < count; from += atOnce) await ask('submit', all.slice(from, from + atOnce));
    },
    start: () => ask('start'),
    finish: async (count) => {
      await finished(worker, count);
      await stop();
      const alerts = await countAlerts();
      if (alerts < count) throw new Error(`${count} alerts were expected, there are ${alerts}`);
      return alerts - count;
    },
    close,
  };
};

const submission = (): Submission => {
  const id = randomUUIDv7();
  return {
    id,
    title: `Buy milk ${id}`,
    notes: 'two litres, the fresh one',
    createdAt: new Date().toISOString(),
  };
};

/** The last audit entry comes before its workflow is final. No peer tells when that is: it is asked. */
const finished = async ({ ask }: Child, wanted: number): Promise<void> => {
  const limit = 60_000;
  for (const deadline = Date.now() + limit; ; await delay(100)) {
    const { saved, finished: done } = await ask<{ saved: number; finished: number }>('count');
    if (saved === wanted && done === wanted) return;
    if (Date.now() > deadline)
      throw new Error(
        `every audit entry came, but of ${wanted} todos ${saved} are saved and ${done} finished after ${limit / 1000} s`,
      );
  }
};
