import { openDatabase } from '../../sqlite/database.ts';
import { attempt, fail, ok } from './finding.ts';
import type { Finding } from './finding.ts';

/** `randomUUIDv7` came with 24.16. */
const needed = [24, 16] as const;

export const checkNode = (version: string): Finding => {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const isEnough = major > needed[0] || (major === needed[0] && minor >= needed[1]);
  return isEnough
    ? ok('node', `Node ${version}`)
    : fail('node', `Node ${version} is too old`, `install Node ${needed.join('.')} or newer`);
};

/** Opens a database in memory: the driver's binary fits this machine, and SQLite knows what we ask of it. */
export const checkSqlite = (): Promise<Finding[]> =>
  attempt('sqlite', async () => {
    const db = openDatabase(':memory:');
    const version = db.get<{ version: string }>('SELECT sqlite_version() AS version')!.version;
    db.close();
    return [ok('sqlite', `SQLite ${version}`)];
  });
