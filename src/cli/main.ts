import { Command, CommanderError } from 'commander';
import { messageOf } from '../engine/errors.ts';
import { MachineError } from '../engine/machine.ts';
import { QueueError } from '../queue/queue.ts';
import { DatabaseError } from '../sqlite/errors.ts';
import { commands } from './commands/index.ts';
import { CliError, exitCodes } from './exit.ts';
import { say } from './io.ts';
import type { Io } from './io.ts';
import { safeWords } from './output/safe.ts';
import { version } from './version.ts';

/** Runs one command line. Resolves to the exit code; what is printed went to `io`. */
export const main = async (argv: readonly string[], io: Io = processIo()): Promise<number> => {
  let exitCode: number = exitCodes.done;
  const program = programOf(io, (code) => (exitCode = code));
  try {
    await program.parseAsync(argv);
  } catch (error) {
    return report(error, io, argv.includes('--debug'));
  }
  return exitCode;
};

const programOf = (io: Io, exit: (code: number) => void): Command => {
  const program = new Command('holdfast')
    .description('Durable state machines on the queue you already have.')
    .version(version())
    .option('--debug', 'show the stack of an error')
    .showSuggestionAfterError()
    .addHelpText(
      'after',
      '\nStart with:\n  $ holdfast demo\n  $ holdfast dev            # in one terminal\n  $ holdfast submit "Buy milk" --wait   # in another',
    );
  for (const define of commands) program.addCommand(define(io, exit));
  for (const command of [program, ...program.commands, ...program.commands.flatMap((one) => one.commands)]) {
    command.exitOverride().configureOutput({
      writeOut: (text) => void io.out.write(text),
      writeErr: (text) => void io.err.write(text),
      outputError: (text) => complain(io, text),
    });
  }
  return program;
};

/** What commander says of a command line: it quotes what it was given. Its suggestion is a line of its own. */
const complain = (io: Io, text: string): void => {
  const [, problem, suggestion] = /^(.*?)\n*(\(Did you mean [^\n]*\))?\n?$/s.exec(text)!;
  say(io, safeWords(problem!));
  if (suggestion !== undefined) say(io, suggestion);
};

/** One line that says what is wrong and what to do next; with --debug the stack as well. */
const report = (error: unknown, io: Io, debug: boolean): number => {
  if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.done : exitCodes.usage; // it has spoken
  for (const line of messageOf(error).split('\n')) say(io, `holdfast: ${safeWords(line)}`);
  if (debug && error instanceof Error) for (const line of stackOf(error)) say(io, line);
  return exitCodeOf(error);
};

/** The error's text is one line of it, whatever it is; the lines below are where it came from. */
const stackOf = ({ name, message, stack = '' }: Error): string[] => {
  const calls = stack.split('\n').filter((line) => /^ {4}at /.test(line));
  return [`${name}: ${message}`, ...calls].map(safeWords);
};

const exitCodeOf = (error: unknown): number => {
  if (error instanceof CliError) return error.exitCode;
  if (error instanceof QueueError)
    return error.kind === 'inDoubt' ? exitCodes.tryAgain : exitCodes.unavailable;
  if (error instanceof DatabaseError) return exitCodes.unavailable;
  if (error instanceof MachineError) return exitCodes.usage;
  return exitCodes.failed;
};

/** The process's own streams and signals. The first signal asks, the second one ends: that is safe. */
const processIo = (): Io => {
  const interrupt = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      if (interrupt.signal.aborted) process.exit(exitCodes[signal]);
      interrupt.abort(signal);
    });
  }
  // A reader that has seen enough (`| head`) is no failure, and no reason to leave half of it undone.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });
  return { in: process.stdin, out: process.stdout, err: process.stderr, interrupted: interrupt.signal };
};
