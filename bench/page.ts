/** `bench page`: the figures and pictures of docs/performance.md, from what the benchmarks saved. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { Command } from 'commander';
import type { Benchmark } from './bench.ts';
import { benchmarks } from './benchmarks.ts';
import { toLines } from './print.ts';
import type { Machine } from './machine.ts';

const docs = path.join(import.meta.dirname, '../docs');

type Paths = { readonly page: string; readonly figures: string };

/** What `--save` keeps. */
type Saved = { readonly at: string; readonly machine: Machine; readonly settings: object };

export const pageCommand = new Command('page')
  .description(
    'writes tables and pictures of docs/performance.md from the figures beside it; measures nothing',
  )
  .option('--page <file>', 'the page, with a place for each benchmark', path.join(docs, 'performance.md'))
  .option('--figures <folder>', 'where NAME.json is, and NAME.svg is written', path.join(docs, 'figures'))
  .addHelpText(
    'after',
    `
Examples:
  $ npm run bench -- throughput --save docs/figures
  $ npm run bench -- page`,
  )
  .action((paths: Paths) => writePage(paths));

/** What stands between these two is written anew each time. */
const begin = (name: string) => `<!-- figures of ${name} -->`;
const end = '<!-- end of figures -->';

const writePage = ({ page, figures }: Paths): void => {
  let text = readFileSync(page, 'utf8');
  for (const benchmark of benchmarks) {
    const from = text.indexOf(begin(benchmark.name));
    const to = text.indexOf(end, from);
    if (from < 0 || to < 0) throw new Error(`${page} has no place for the figures of ${benchmark.name}`);
    const section = sectionOf(benchmark, { page, figures });
    text = `${text.slice(0, from)}${begin(benchmark.name)}\n\n${section.join('\n')}\n\n${text.slice(to)}`;
  }
  writeFileSync(page, text);
};

const sectionOf = (benchmark: Benchmark, { page, figures }: Paths): string[] => {
  const { name, summary } = benchmark;
  const file = path.join(figures, `${name}.json`);
  const folder = path.relative(path.dirname(page), figures);
  if (!existsSync(file)) return [`There are no figures in \`${folder}/${name}.json\` yet.`];
  const saved = JSON.parse(readFileSync(file, 'utf8')) as Saved;
  const { at, machine, settings } = saved;
  const picture: string[] = [];
  if (benchmark.plot) {
    writeFileSync(path.join(figures, `${name}.svg`), benchmark.plot(saved, settings));
    picture.push(`![${name}: ${summary}](${folder}/${name}.svg)`, '');
  }
  return [
    ...picture,
    `Measured on ${at.slice(0, 10)} ([all rounds](${folder}/${name}.json)):`,
    '',
    '```',
    ...toLines(machine, [{ benchmark, figures: saved, settings }]),
    '```',
  ];
};
