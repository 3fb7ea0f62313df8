/** Where a machine can be proved: the embedded queue, a RabbitMQ of our own, or one that is given. */
import type { Machine } from '../../engine/machine.ts';
import { findRabbitmq } from '../../../scripts/find-rabbitmq.mjs';
import { startBroker } from '../broker/broker.ts';
import type { Broker } from '../broker/broker.ts';
import type { Settings } from '../settings.ts';
import type { Venue } from './cells.ts';

/** A venue, and how to come there. */
export type Place = {
  readonly venue: Venue;
  /** Called once, and only if a cell happens there. */
  readonly open: (
    settings: Settings,
  ) => Promise<{ readonly settings: Settings; readonly broker: Broker | undefined }>;
};

const nowhere = 'rabbitmq-server is not installed here; install it, or give --queue amqp://…';

/** `given`: a queue that the user named. Without one, all that this machine has. */
export const placesOf = (machine: Machine, given: string | undefined): Place[] => {
  const receiver =
    machine.id === 'create-todo' ? {} : { receiver: `${machine.ref} sends nothing to the audit receiver` };
  const embedded = {
    connection: 'the embedded queue has no connection',
    broker: 'the embedded queue has no broker',
  };
  const places: Record<'embedded' | 'own' | 'given', Place> = {
    embedded: {
      venue: { queue: 'embedded', impossible: { ...embedded, ...receiver } },
      open: async (settings) => ({ settings: { ...settings, queue: 'embedded' }, broker: undefined }),
    },
    own: {
      venue: { queue: 'RabbitMQ', impossible: { ...(findRabbitmq() ? {} : unavailable), ...receiver } },
      open: async (settings) => {
        const broker = await startBroker();
        return { settings: { ...settings, queue: broker.url }, broker };
      },
    },
    given: {
      venue: { queue: 'RabbitMQ', impossible: { ...impossibleAt(given ?? ''), ...receiver } },
      open: async (settings) => ({ settings, broker: undefined }),
    },
  };
  if (given === undefined) return [places.embedded, places.own];
  return given === 'embedded' ? [places.embedded] : [places.given];
};

const unavailable = { worker: nowhere, connection: nowhere, broker: nowhere, receiver: nowhere };

const impossibleAt = (url: string): Venue['impossible'] => ({
  broker: 'the broker is not ours to kill',
  ...(url.startsWith('amqps:') && { connection: 'nothing can stand in a TLS connection' }),
});
