import { PassThrough, Readable } from 'node:stream';
import path from 'node:path';
import { onTestFinished } from 'vitest';
import { advance, start, wantedCalls } from '../../src/engine/interpreter.ts';
import type { CallResult, Run, Step } from '../../src/engine/run.ts';
import { createTodo } from '../../src/machines/create-todo.ts';
import { createRegistry } from '../../src/machines/registry.ts';
import type { Registry } from '../../src/machines/registry.ts';
import { openDatabase } from '../../src/sqlite/database.ts';
import type { Database } from '../../src/sqlite/database.ts';
import { SqliteStore } from '../../src/store/sqlite/sqlite-store.ts';
import type { Io } from '../../src/cli/io.ts';
import { main } from '../../src/cli/main.ts';
import { tempDir } from './tmp.ts';

export type FakeIo = { io: Io; out: () => string; err: () => string; interrupt: () => void };

/** Streams that collect what is written. A terminal has 80 columns. */
export const fakeIo = ({ tty = false, input = '' }: { tty?: boolean; input?: string } = {}): FakeIo => {
  const collect = () => {
    const stream = Object.assign(new PassThrough(), { isTTY: tty, columns: 80, getColorDepth: () => 1 });
    let text = '';
    stream.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
    return { stream, text: () => text };
  };
  const out = collect();
  const err = collect();
  const interrupt = new AbortController();
  return {
    io: { in: Readable.from([input]), out: out.stream, err: err.stream, interrupted: interrupt.signal },
    out: out.text,
    err: err.text,
    interrupt: () => interrupt.abort('SIGINT'),
  };
};

const unused = { perform: () => Promise.reject(new Error('no call is performed here')) };

export const todos = (): Registry => createRegistry([createTodo({ sendAlert: unused, sendAudit: unused })]);

export type Filled = {
  readonly path: string;
  readonly db: Database;
  readonly store: SqliteStore;
  readonly registry: Registry;
  /** A run that waits for its alert to be sent. */
  readonly begin: (id: string, title: string, at?: number) => Promise<Run>;
  /** Answers the call that the run waits for. */
  readonly answer: (run: Run, result: CallResult, at?: number) => Promise<Run>;
};

export const accepted: CallResult = { ok: true, output: null, receipt: { status: 200 } };
export const away: CallResult = { ok: false, permanent: false, message: 'nobody answers' };
export const refused: CallResult = {
  ok: false,
  permanent: true,
  message: 'HTTP 422: no\u001b[2J',
  receipt: { status: 422 },
};

/** The time of everything that does not say otherwise. */
export const noon = Date.UTC(2026, 10, 23, 12);

const clock = (at: number) => ({ now: () => at, random: () => 0.5 });

/** A store in a new file, with a worker in it; both go when the test is over. */
export const newStore = async (): Promise<Filled> => {
  const file = path.join(tempDir(), 'holdfast.db');
  const db = openDatabase(file);
  onTestFinished(() => db.close());
  const store = new SqliteStore(db);
  const registry = todos();
  const machine = registry.machines[0]!;
  await store.prepare(registry.machines);
  await store.join('worker');
  const commit = async (step: Step, expected: number | null) => {
    const [outcome] = await store.commit('worker', [{ ...step, expected }]);
    if (outcome?.type !== 'committed')
      throw new Error(`the step was not committed: ${JSON.stringify(outcome)}`);
    return step.run;
  };
  return {
    path: file,
    db,
    store,
    registry,
    begin: (id, title, at = noon) => commit(start(machine, id, { title }, clock(at)), null),
    answer: (run, result, at = noon + 1000) => {
      const [call] = wantedCalls(machine, run);
      const incident = {
        type: 'answered' as const,
        call: call!.id,
        attempt: call!.attempt,
        duration: 12,
        result,
      };
      return commit(advance(machine, run, incident, clock(at))!, run.seq);
    },
  };
};

/** Runs one command line as the binary does. */
export const cli = async (
  args: string[],
  given: Parameters<typeof fakeIo>[0] = {},
): Promise<{ code: number; out: string; err: string }> => {
  const { io, out, err } = fakeIo(given);
  const code = await main(['node', 'holdfast', ...args], io);
  return { code, out: out(), err: err() };
};
