/** Where alerts are read: the store's table, or RabbitMQ. */
import type { AmqpOptions } from '../queue/amqp/open.ts';
import { translated } from '../queue/amqp/errors.ts';
import type { Publisher } from '../amqp/publisher.ts';
import type { Declaration } from '../amqp/declaration.ts';
import { readAlerts } from '../effects/alert-embedded.ts';
import { followAlerts, peekAlerts } from '../effects/alerts-amqp-reader.ts';
import type { PublishedAlert } from '../effects/alerts-amqp-reader.ts';
import type { Database } from '../sqlite/database.ts';
import type { Archive } from '../store/store.ts';
import { interrupted } from './commands/worker.ts';

/** An alert as it was sent. A repeat has the key of an earlier one: a receiver drops it. */
export type ReceivedAlert = {
  readonly key: string;
  /** RFC 3339; null where the event has no time. */
  readonly at: string | null;
  readonly repeat: boolean;
  /** A CloudEvent, or the text that could not be read as one. */
  readonly event: unknown;
};

export type AlertSource = {
  /** At most `limit` alerts, oldest first; `hasMore` where that left some out. */
  read(limit: number): Promise<{ alerts: readonly ReceivedAlert[]; hasMore: boolean }>;
  /** Calls back for each alert that comes from now on, until `signal` aborts. */
  follow(onAlert: (alert: ReceivedAlert) => void, signal: AbortSignal): Promise<void>;
};

const pageSize = 1000;

/** In bytes. One of ours is hardly longer than the input of its run; anything may be put there by others. */
const longestAlert = 1024 * 1024;

/** Reads the newest. What `follow` calls back for comes after what `read` returned. */
export const alertsInStore = (db: Database, archive: Pick<Archive, 'watch'>): AlertSource => {
  const noted = repeats();
  let last = 0;
  const readNew = function* () {
    for (let page = readAlerts(db, last, pageSize); page.length > 0; page = readAlerts(db, last, pageSize)) {
      for (const { seq, key, at, event } of page) {
        last = seq;
        yield { key, at: new Date(at).toISOString(), repeat: noted(key), event: parsed(event) };
      }
    }
  };
  return {
    async read(limit) {
      let alerts: ReceivedAlert[] = [];
      let count = 0;
      for (const alert of readNew()) {
        count += 1;
        alerts.push(alert);
        if (alerts.length >= 2 * limit) alerts = alerts.slice(-limit);
      }
      return { alerts: alerts.slice(-limit), hasMore: count > limit };
    },
    async follow(onAlert, signal) {
      const pass = () => {
        for (const alert of readNew()) onAlert(alert);
      };
      const watcher = archive.watch(pass);
      pass(); // what came before the watch began
      await interrupted(signal);
      watcher.close();
    },
  };
};

type Broker = Pick<AmqpOptions, 'url' | 'tls' | 'log'> & {
  readonly publisher: Pick<Publisher, 'perform'>;
  readonly declaration: Declaration;
};

/** Reads those that wait in the queue of alerts. `follow` sees what is sent from now on. */
export const alertsInRabbit = ({ url, tls, log, publisher, declaration }: Broker): AlertSource => {
  const noted = repeats();
  const received = ({ key, body }: PublishedAlert): ReceivedAlert => {
    const event =
      body.length > longestAlert ? `${body.length} bytes, not looked at` : parsed(body.toString('utf8'));
    return { key, at: timeOf(event), repeat: noted(key), event };
  };
  return {
    async read(limit) {
      const { alerts, hasMore } = await translated(peekAlerts(publisher, declaration.topology, limit));
      return { alerts: alerts.map(received), hasMore };
    },
    async follow(onAlert, signal) {
      const following = followAlerts({
        url,
        tls,
        log,
        declaration,
        onAlert: (alert) => onAlert(received(alert)),
      });
      try {
        await translated(following.ready);
        await interrupted(signal);
      } finally {
        await following.close();
      }
    },
  };
};

/** Tells of each key whether it was there before. */
const repeats = (): ((key: string) => boolean) => {
  const seen = new Set<string>();
  return (key) => {
    const isRepeat = seen.has(key);
    seen.add(key);
    return isRepeat;
  };
};

const parsed = (text: string): unknown => {
  try {
    const event: unknown = JSON.parse(text);
    JSON.stringify(event); // what is read at any depth cannot be written at any depth
    return event;
  } catch {
    return text; // put there by others
  }
};

const timeOf = (event: unknown): string | null => {
  const time = typeof event === 'object' && event !== null && 'time' in event ? event.time : null;
  return typeof time === 'string' ? time : null;
};
