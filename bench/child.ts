import { fork } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';

/** A process of the benchmark; it ends with this one. */
export type Child = {
  readonly pid: number;
  /** Rejects when the process ends before it has answered. */
  readonly ask: <Answer>(question: string, argument?: unknown) => Promise<Answer>;
  /** Asks it to finish its work and to end; resolves when it is gone. */
  readonly stop: () => Promise<void>;
  /** SIGKILL; resolves when it is gone. */
  readonly kill: () => Promise<void>;
};

type Question = { id: number; question: string; argument: unknown };
type Reply = { id: number; value: unknown; error?: string };

/** CPU time (ms) and peak resident memory (bytes) of a process since its start. */
export type Usage = { readonly cpu: number; readonly memory: number };

export type ChildOptions = {
  /** Flags of Node. */
  readonly execArgv?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
};

/** Starts a file, of this folder where no other is named, as a process. Resolves when it answers questions. */
export const startChild = async (
  file: string,
  args: readonly string[],
  { execArgv = [], env = {} }: ChildOptions = {},
): Promise<Child> => {
  const child = fork(path.resolve(import.meta.dirname, file), args, {
    env: { ...ownEnvironment(), ...env },
    execArgv: [...execArgv],
    serialization: 'advanced',
    stdio: ['ignore', 2, 2, 'ipc'], // stdout is for the figures
  });
  const waiting = new Map<number, PromiseWithResolvers<unknown>>();
  const gone = once(child, 'exit').then(([code, signal]) => {
    for (const { reject } of waiting.values())
      reject(new Error(`${path.basename(file)} ended with ${signal ?? code}`));
    return code as number | null;
  });
  child.on('message', ({ id, value, error }: Reply) => {
    if (error === undefined) waiting.get(id)?.resolve(value);
    else waiting.get(id)?.reject(new Error(`${path.basename(file)}: ${error}`));
    waiting.delete(id);
  });
  let last = 0;
  const ask = <Answer>(question: string, argument?: unknown): Promise<Answer> => {
    const answer = Promise.withResolvers<unknown>();
    waiting.set(++last, answer);
    child.send({ id: last, question, argument });
    return answer.promise as Promise<Answer>;
  };
  const stop = async () => {
    await ask('stop');
    child.disconnect();
    const code = await gone;
    if (code !== 0) throw new Error(`${path.basename(file)} ended with ${code}`);
  };
  const kill = async () => {
    child.kill('SIGKILL');
    await gone;
  };
  await ask('ready');
  return { pid: child.pid!, ask, stop, kill };
};

/** The other side: answers the parent's questions, and ends when the parent is gone. */
export const answer = (questions: Record<string, (argument: never) => unknown>): void => {
  const all: Record<string, (argument: never) => unknown> = { ready: () => true, usage, ...questions };
  const reply = async ({ id, question, argument }: Question) => {
    try {
      process.send?.({ id, value: await all[question]!(argument as never) });
    } catch (error) {
      process.send?.({ id, value: undefined, error: String(error) });
    }
  };
  process.on('message', (question: Question) => void reply(question));
  process.once('disconnect', () => process.exit());
};

const usage = (): Usage => {
  const { user, system } = process.cpuUsage();
  return { cpu: (user + system) / 1000, memory: process.resourceUsage().maxRSS * 1024 };
};

/** Settings that a person made for a worker of their own are not ours. */
const ownEnvironment = (): NodeJS.ProcessEnv =>
  Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('HOLDFAST_')));
