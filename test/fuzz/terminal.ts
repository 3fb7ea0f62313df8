import fc from 'fast-check';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { start } from '../../src/engine/interpreter.ts';
import { main } from '../../src/cli/main.ts';
import { openDatabase } from '../../src/sqlite/database.ts';
import { SqliteStore } from '../../src/store/sqlite/sqlite-store.ts';
import { fakeIo, todos } from '../harness/cli-fixture.ts';
import { hostileJson, hostileJsonText, hostileText } from './hostile.ts';
import { expectForeseen, expectHarmless } from './oracle.ts';
import { target } from './target.ts';

const commands = [
  ['list'],
  ['list', '-o', 'json'],
  ['list', '-o', 'jsonl'],
  ['list', '--state', 'nowhere'],
  ['inspect', 'run-1'],
  ['inspect', 'run-1', '-o', 'json'],
  ['inspect', 'run'],
  ['census'],
  ['census', '-o', 'json'],
  ['cancel', 'run-1', 'run-2'],
  ['retry', 'run-1', 'run-2'],
  ['dead-letters', 'list'],
  ['dead-letters', 'list', '-o', 'jsonl'],
  ['dead-letters', 'show', 'letter'],
  ['dead-letters', 'show', 'letter', '-o', 'json'],
  ['alerts'],
  ['alerts', '-o', 'jsonl'],
  ['doctor'],
  ['doctor', '-o', 'json'],
  ['submit', 'Milk', '--key', 'run-2'],
];

const row = fc.record({
  id: fc.oneof(fc.constant('run-2'), hostileText),
  input: fc.oneof(
    hostileText.map((title) => JSON.stringify({ title })),
    hostileJson.map((json) => JSON.stringify(json)),
  ),
  machine: fc.oneof(fc.constant('create-todo'), hostileText),
  version: fc.oneof(fc.constant('1'), hostileText),
  status: fc.constantFrom('active', 'done', 'failed', 'cancelled'),
  state: fc.oneof(fc.constant('sendingAudit'), hostileText),
  error: hostileText,
  event: fc.oneof(hostileJsonText, hostileText),
  key: hostileText,
  receipt: fc
    .dictionary(hostileText, fc.oneof(hostileText, fc.double()), { maxKeys: 2 })
    .map((one) => JSON.stringify(one)),
  body: fc.oneof(
    hostileText.map((text) => Buffer.from(text)),
    fc.uint8Array({ maxLength: 100 }).map((bytes) => Buffer.from(bytes)),
  ),
});

/** Whatever is in a store, what is printed of it leaves a terminal alone. */
export const terminal = target('what a store holds, printed', 0.06, async () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'holdfast-fuzz-'));
  const file = path.join(folder, 'holdfast.db');
  const db = openDatabase(file);
  db.pragma('synchronous = OFF'); // of this connection: nothing here has to last
  const store = new SqliteStore(db);
  const machine = todos().machines[0]!;
  const fill = (values: Record<string, unknown>) =>
    db.write(() => {
      db.exec(
        'DELETE FROM runs; DELETE FROM census; DELETE FROM transitions; DELETE FROM dead_letters; DELETE FROM alerts',
      );
      const { run } = start(machine, 'run-1', { title: 'Milk' }, { now: () => 0, random: () => 0 });
      const columns = `seq, snapshot, timers, attempts, fingerprint, created_at, updated_at`;
      const kept = { snapshot: run.snapshot, timers: '{}', attempts: JSON.stringify(run.attempts) };
      for (const id of ['run-1', values['id']]) {
        db.run(
          `INSERT INTO runs (id, machine, version, status, state, input, reason, failed_in, ${columns})
           VALUES (:id, :machine, :version, :status, :state, :input, :error, :state, 1, :snapshot, :timers, :attempts, '', 0, 0)
           ON CONFLICT DO NOTHING`,
          { ...pick(values, 'machine', 'version', 'status', 'state', 'input', 'error'), id, ...kept },
        );
      }
      db.exec(
        `INSERT INTO census SELECT machine, version, status, state, count(*) FROM runs GROUP BY 1, 2, 3, 4`,
      );
      db.run(
        `INSERT INTO transitions (run, seq, at, event, to_state, duration, attempt, error, receipt)
         SELECT no, one.value, 0, :key, :state, 1, 1, :error, :receipt
         FROM runs, json_each('[0, 1]') AS one WHERE runs.id = 'run-1'`,
        pick(values, 'key', 'state', 'error', 'receipt'),
      );
      db.run(
        `INSERT INTO dead_letters (id, at, error, message_id, machine, body) VALUES ('letter', 0, :error, :key, :machine, :body)`,
        pick(values, 'error', 'key', 'machine', 'body'),
      );
      db.run('INSERT INTO alerts (key, at, event) VALUES (:key, 0, :event)', pick(values, 'key', 'event'));
    });
  await store.prepare([machine]);
  return {
    input: fc.record({ row, args: fc.constantFrom(...commands), tty: fc.boolean() }),
    attempt: async ({ row: values, args, tty }) => {
      await fill(values);
      const { io, out, err } = fakeIo({ tty });
      await main(['node', 'holdfast', '--debug', ...args, '--store', file], io);
      expectHarmless(out());
      expectHarmless(err());
      expectForeseen(err());
    },
    close: () => {
      db.close();
      rmSync(folder, { recursive: true });
    },
  };
});

const pick = (values: Record<string, unknown>, ...names: string[]): Record<string, unknown> =>
  Object.fromEntries(names.map((name) => [name, values[name]]));
