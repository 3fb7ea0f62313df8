import type { Database } from '../../sqlite/database.ts';
import type { KnownMachine } from '../store.ts';

/** True when the store remembers another structure, and unfinished runs of the machine. */
export const changedWhileRunning = (db: Database, { ref, structure }: KnownMachine): boolean => {
  const known = db.get<{ structure: string }>('SELECT structure FROM machines WHERE ref = :ref', { ref });
  if (!known || known.structure === structure) return false;
  const unfinished = `SELECT 1 FROM census WHERE status = 'active' AND runs > 0 AND machine || '@' || version = :ref`;
  return db.get(`${unfinished} LIMIT 1`, { ref }) !== undefined;
};

/** Inside a transaction. */
export const rememberMachine = (db: Database, { ref, structure }: KnownMachine): void => {
  db.run(
    `INSERT INTO machines (ref, structure) VALUES (:ref, :structure)
     ON CONFLICT (ref) DO UPDATE SET structure = excluded.structure WHERE structure <> excluded.structure`,
    { ref, structure },
  );
};
