import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { onTestFinished } from 'vitest';
import { guard } from '../../src/cli/broker/watchdog.ts';

export type CliOptions = {
  /** Everything that holdfast sees of the environment, besides PATH, HOME and the like. */
  env?: Record<string, string>;
  /** Its whole stdin. Without it stdin is empty. */
  input?: string;
  cwd?: string;
  /** In ms; then it is killed. Default: no limit for spawnHoldfast, 25 s for holdfast. */
  timeout?: number;
};

type CliExit = { code: number | null; signal: NodeJS.Signals | null };
export type CliResult = CliExit & { stdout: string; stderr: string };

export interface CliProcess {
  readonly child: ChildProcess;
  /** What it wrote so far. */
  readonly stdout: string;
  readonly stderr: string;
  /**
   * The first line, on either stream, that matches; one written earlier counts. Rejects with all output
   * after `timeout` ms (default 10 s), or at once when the process has ended without such a line.
   */
  waitForLine(pattern: RegExp, options?: { timeout?: number }): Promise<RegExpExecArray>;
  /** Sends the signal to holdfast itself (default SIGTERM), not to its children. */
  kill(signal?: NodeJS.Signals): void;
  /** It has ended and all its output is here. */
  readonly exited: Promise<CliExit>;
}

const binary = path.join(import.meta.dirname, '../../bin/holdfast.js');
const passedOn = ['PATH', 'HOME', 'TMPDIR', 'LANG', 'NODE_V8_COVERAGE'];

/** Runs the real binary to its end. */
export async function holdfast(args: string[], options: CliOptions = {}): Promise<CliResult> {
  const cli = spawnHoldfast(args, { timeout: 25_000, ...options });
  const exit = await cli.exited;
  return { ...exit, stdout: cli.stdout, stderr: cli.stderr };
}

/** Starts the real binary; it and its children are killed when the running test is over, at the latest. */
export function spawnHoldfast(args: string[], options: CliOptions = {}): CliProcess {
  return spawnNode([binary, ...args], options);
}

/** The same for any program: its file, then its arguments. */
export function spawnNode(command: string[], options: CliOptions = {}): CliProcess {
  const child = spawn(process.execPath, command, {
    cwd: options.cwd,
    env: environment(options.env),
    stdio: ['pipe', 'pipe', 'pipe'],
    detached: true,
    timeout: options.timeout,
    killSignal: 'SIGKILL',
  });
  const dismiss = guard([-child.pid!]);
  const exited = once(child, 'close').then(([code, signal]): CliExit => ({ code, signal }));
  onTestFinished(async () => {
    killGroup(child.pid!);
    await exited;
    dismiss();
  });
  // It may end without reading its input.
  child.stdin.on('error', () => undefined).end(options.input);
  return follow(child, exited);
}

function follow(child: ChildProcess, exited: Promise<CliExit>): CliProcess {
  const text = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name]?.setEncoding('utf8').on('data', (chunk: string) => {
      text[name] += chunk;
      child.emit('output');
    });
  }
  return {
    child,
    exited,
    get stdout() {
      return text.stdout;
    },
    get stderr() {
      return text.stderr;
    },
    kill: (signal = 'SIGTERM') => void child.kill(signal),
    waitForLine: (pattern, { timeout = 10_000 } = {}) => {
      const found = Promise.withResolvers<RegExpExecArray>();
      const fail = (why: string) =>
        found.reject(new Error(`${why} before a line matched ${pattern}\n${text.stdout}\n${text.stderr}`));
      const look = () => {
        const match = firstMatch(pattern, text.stdout) ?? firstMatch(pattern, text.stderr);
        if (match) found.resolve(match);
      };
      const timer = setTimeout(() => fail(`${timeout} ms went by`), timeout);
      child.on('output', look);
      void exited.then(({ code, signal }) => fail(`holdfast ended with ${signal ?? code}`));
      look();
      return found.promise.finally(() => {
        clearTimeout(timer);
        child.off('output', look);
      });
    },
  };
}

/** Complete lines only: the last piece may still grow. */
function firstMatch(pattern: RegExp, text: string): RegExpExecArray | undefined {
  for (const line of text.split('\n').slice(0, -1)) {
    const match = new RegExp(pattern).exec(line);
    if (match) return match;
  }
  return undefined;
}

function environment(given: Record<string, string> = {}): Record<string, string> {
  const kept: Record<string, string> = {};
  for (const name of passedOn) {
    const value = process.env[name];
    if (value !== undefined) kept[name] = value;
  }
  return { ...kept, ...given };
}

function killGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // It has ended, and all its children too.
  }
}
