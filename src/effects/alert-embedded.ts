import type { RemoteCall } from '../engine/definition.ts';
import type { Database } from '../sqlite/database.ts';
import { cloudEvent } from './alert.ts';
import type { Alert } from './alert.ts';

/** One alert as it was sent; a repeat under the same key is a row of its own, as it is a message of its own. */
export type SentAlert = {
  readonly seq: number;
  readonly key: string;
  readonly at: number;
  readonly event: string;
};

/** Writes the alert, durably, to the `alerts` table of the store's file. */
export const sendAlertToTable = (db: Database, now: () => number = Date.now): RemoteCall => ({
  async perform(alert: Alert, { key }) {
    const event = JSON.stringify(cloudEvent(alert, key));
    await db.write(() =>
      db.run('INSERT INTO alerts (key, at, event) VALUES (:key, :now, :event)', { key, now: now(), event }),
    );
    return { receipt: { stored: true } };
  },
});

/** The alerts after `seq`, oldest first. */
export const readAlerts = (db: Database, after: number, limit: number): SentAlert[] =>
  db.all<SentAlert>(
    'SELECT seq, key, at, event FROM alerts WHERE seq > :after ORDER BY seq LIMIT (SELECT :limit)',
    { after, limit },
  );
