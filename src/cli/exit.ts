/** What the process says to the shell. */
export const exitCodes = {
  done: 0,
  failed: 1,
  usage: 2,
  notFound: 4,
  conflict: 5,
  unavailable: 69,
  tryAgain: 75,
  SIGINT: 130,
  SIGTERM: 143,
} as const;

export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

/** A failure that a person can act on: one line, and the exit code that goes with it. */
export class CliError extends Error {
  override readonly name = 'CliError';
  readonly exitCode: ExitCode;

  constructor(exitCode: ExitCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.exitCode = exitCode;
  }
}

export const usage = (message: string): CliError => new CliError(exitCodes.usage, message);
