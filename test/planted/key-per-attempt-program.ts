/** A worker whose calls get a new key each time. */
import { randomUUID } from 'node:crypto';
import type { Ports } from '../../src/cli/compose.ts';
import { runCrashWorker } from '../../src/cli/prove/crash-worker.ts';
import type { Definition, RemoteCall } from '../../src/engine/definition.ts';

const keyPerAttempt = (ports: Ports): Ports => ({ ...ports, definitions: ports.definitions.map(rekeyed) });

const rekeyed = (definition: Definition): Definition => ({
  ...definition,
  remote: Object.fromEntries(
    Object.entries(definition.remote ?? {}).map(([name, remote]) => [name, withNewKey(remote)]),
  ),
});

const withNewKey = (remote: RemoteCall): RemoteCall => ({
  perform: (input, context) => remote.perform(input, { ...context, key: `${context.key}-${randomUUID()}` }),
});

await runCrashWorker(keyPerAttempt);
