import { Command } from 'commander';
import type { Io } from './io.ts';
import { readSettings, withSettings } from './settings.ts';
import type { SettingName, Settings } from './settings.ts';

type Args = readonly (string | string[] | undefined)[];

type Spec<Options, Given extends Args> = {
  readonly name: string;
  readonly summary: string;
  /** `<id...>`, `[machine]`: as commander writes them. */
  readonly args?: readonly [syntax: string, description: string][];
  readonly settings: readonly SettingName[];
  readonly options?: (command: Command) => Command;
  /** Shown below `--help`, a command a line. */
  readonly examples: readonly string[];
  /** Resolves to an exit code where it is not 0. */
  readonly run: (
    context: { io: Io; settings: Settings },
    options: Options,
    args: Given,
  ) => Promise<number | void>;
};

/** A command that is ready to be hung into a program. `exit` takes the code where it is not 0. */
export type Define = (io: Io, exit: (code: number) => void) => Command;

/** A command of the CLI: what it is called, what it takes, what it does. */
export const defineCommand =
  <Options = object, Given extends Args = readonly (string | string[])[]>(
    spec: Spec<Options, Given>,
  ): Define =>
  (io, exit) => {
    const command = new Command(spec.name).description(spec.summary);
    for (const [syntax, description] of spec.args ?? []) command.argument(syntax, description);
    spec.options?.(command);
    withSettings(command, spec.settings);
    command.addHelpText('after', examplesText(spec.examples));
    return command.action(async (...given: unknown[]) => {
      const args = given.slice(0, -2) as unknown as Given; // commander gives one for each of `args`
      const code = await spec.run(
        { io, settings: readSettings(command) },
        command.opts<object>() as Options,
        args,
      );
      if (code !== undefined) exit(code);
    });
  };

type GroupSpec = Pick<Spec<object, Args>, 'name' | 'summary' | 'examples'> & {
  readonly members: readonly Define[];
};

/** Commands under a common name: `dead-letters list`. Without one of them it shows its help: exit 2. */
export const defineGroup =
  ({ name, summary, examples, members }: GroupSpec): Define =>
  (io, exit) => {
    const group = new Command(name).description(summary).addHelpText('after', examplesText(examples));
    for (const define of members) group.addCommand(define(io, exit));
    return group;
  };

const examplesText = (examples: readonly string[]): string =>
  `\nExamples:\n${examples.map((line) => `  $ holdfast ${line}`).join('\n')}`;
