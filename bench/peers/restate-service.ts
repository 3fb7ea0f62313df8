/** What the two peers on Restate have in common: the endpoint that the server calls, and how it is asked. */
import { once } from 'node:events';
import { createServer } from 'node:http2';
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { createEndpointHandler } from '@restatedev/restate-sdk';
import type { EndpointOptions } from '@restatedev/restate-sdk';
import { Agent, request } from 'undici';
import { forEach } from './peer.ts';
import type { Site, Submission, Work } from './peer.ts';

type Parts = Pick<Site, 'serverUrl' | 'adminUrl'> & {
  readonly service: EndpointOptions['services'][number];
  /** Where a new todo is posted to, and what. */
  readonly handler: string;
  readonly bodyOf: (submission: Submission) => unknown;
  /** SQL on Restate's own tables: how many are saved, how many finished. */
  readonly saved: string;
  readonly finished: string;
};

/** As delivered (`restate-server --dump-config`): fewer partitions were slower. */
export const restateDefaults = { partitions: 24, journalRetention: '1 day' };

export const restateSources = [
  'https://docs.restate.dev/server/configuration',
  'https://docs.restate.dev/references/server-config',
];

export const openRestate = async (parts: Parts): Promise<Work> => {
  const { serverUrl, adminUrl, service, handler, bodyOf, saved, finished } = parts;
  const gate = Promise.withResolvers<void>();
  const endpoint = createServer(gated(gate.promise, service));
  const sessions = new Set<{ destroy: () => void }>();
  endpoint.on('session', (session) => sessions.add(session));
  await once(endpoint.listen(0, '127.0.0.1'), 'listening');
  const { port } = endpoint.address() as AddressInfo;
  const dispatcher = new Agent({ connections: 64 });
  const post = async (url: string, content: unknown): Promise<unknown> => {
    const { statusCode, body } = await request(url, {
      method: 'POST',
      dispatcher,
      headers: { 'content-type': 'application/json', accept: 'application/json' },
      body: JSON.stringify(content),
    });
    if (statusCode >= 300) throw new Error(`Restate answered HTTP ${statusCode}: ${await body.text()}`);
    return body.json();
  };
  const count = async (query: string): Promise<number> => {
    const { rows } = (await post(`${adminUrl}/query`, { query })) as { rows: [{ n: number }] };
    return rows[0].n;
  };
  await post(`${adminUrl}/deployments`, { uri: `http://127.0.0.1:${port}` });
  return {
    // With `/send`, it is answered when the invocation is in Restate's log.
    submit: (submissions) =>
      forEach(submissions, 64, (submission) =>
        post(`${serverUrl}/todo/${submission.id}/${handler}/send`, bodyOf(submission)),
      ),
    start: async () => gate.resolve(),
    count: async () => ({ saved: await count(saved), finished: await count(finished) }),
    close: async () => {
      await dispatcher.close();
      for (const session of sessions) session.destroy();
      endpoint.close();
    },
  };
};

/** Restate pushes its work: what it sends is not taken before the gate opens. It is asked for its services at once. */
const gated = (opened: Promise<void>, service: EndpointOptions['services'][number]) => {
  const handle = createEndpointHandler({ services: [service], logger: () => {} });
  return (asked: Http2ServerRequest, answer: Http2ServerResponse): void => {
    if (asked.url.startsWith('/invoke/')) void opened.then(() => handle(asked, answer));
    else handle(asked, answer);
  };
};
