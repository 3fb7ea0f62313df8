import { Option } from 'commander';
import { drawing } from '../../engine/drawing.ts';
import type { Registry } from '../../machines/registry.ts';
import { choose } from '../choose.ts';
import { defineCommand } from '../command.ts';
import { openCatalogue } from '../compose.ts';
import type { Io } from '../io.ts';
import { print } from '../io.ts';
import { drawAscii } from '../output/draw-ascii.ts';
import { drawMermaid } from '../output/draw-mermaid.ts';
import { drawSvg } from '../output/draw-svg.ts';

export type DiagramOptions = { readonly format?: keyof typeof draw };

type Parts = { readonly registry: Registry; readonly io: Io };

const draw = { mermaid: drawMermaid, ascii: drawAscii, svg: drawSvg };

export const diagramCommand = defineCommand<DiagramOptions, [machine?: string]>({
  name: 'diagram',
  summary: 'Draw a machine as it runs.',
  args: [['[machine]', 'create-todo, or create-todo@1; may be left out where there is only one']],
  settings: ['machines'],
  options: (command) =>
    command.addOption(
      new Option('--format <format>', 'default: ascii on a terminal, mermaid elsewhere').choices(
        Object.keys(draw),
      ),
    ),
  examples: [
    'diagram',
    'diagram create-todo --format mermaid',
    'diagram create-todo@1 --format svg > create-todo.svg',
  ],
  run: async ({ io, settings }, options, [machine]) =>
    diagram({ registry: await openCatalogue(settings), io }, machine, options),
});

/** Prints the drawing of a machine. @throws CliError notFound */
export const diagram = async (
  { registry, io }: Parts,
  name: string | undefined,
  { format }: DiagramOptions,
): Promise<void> => {
  const machine = drawing(choose(registry, name));
  print(io, await draw[format ?? (io.out.isTTY ? 'ascii' : 'mermaid')](machine));
};
