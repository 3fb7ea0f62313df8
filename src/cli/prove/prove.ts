/** The proof from end to end: enumerate, run, count, tell. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Machine } from '../../engine/machine.ts';
import { routesOf, unreached } from '../../engine/routes.ts';
import type { Route } from '../../engine/routes.ts';
import { messageOf } from '../../engine/errors.ts';
import type { Registry } from '../../machines/registry.ts';
import { schemaProblems } from '../../worker/intake.ts';
import { CliError, exitCodes, usage } from '../exit.ts';
import { print, say } from '../io.ts';
import type { Io } from '../io.ts';
import { printJson } from '../output/format.ts';
import { progressBar } from '../output/progress.ts';
import { safe } from '../output/safe.ts';
import type { Settings } from '../settings.ts';
import { cellName, cellsOf } from './cells.ts';
import type { Cell } from './cells.ts';
import { heatMap } from './heat-map.ts';
import { runMatrix } from './matrix.ts';
import type { Pace } from './matrix.ts';
import { rehearse } from './rehearsal.ts';
import { hasFailed, printProof, proofAsData } from './report.ts';
import type { Proof } from './report.ts';
import type { Outcome } from './run-cell.ts';
import { placesOf } from './venues.ts';
import type { Place } from './venues.ts';

export type Request = {
  readonly io: Io;
  readonly settings: Settings;
  readonly registry: Registry;
  readonly machine: Machine;
  readonly input: unknown;
  /** The program that is the worker: the one that ships, or one with a fault planted into it. */
  readonly program: string;
  readonly queue: string | undefined;
  /** Only cells whose name has each of these words. */
  readonly only: readonly string[];
  readonly jobs: number;
  /** How long a system may take to recover, in ms. */
  readonly patience: number;
  readonly output: 'table' | 'json';
  readonly svg: string | undefined;
  /** Names the cells instead of running them. */
  readonly list: boolean;
};

/** The exit code: failed where anything was lost, phantom or doubled. @throws CliError, as when nothing could be proved */
export const prove = async (request: Request): Promise<number> => {
  const { io, machine, queue, only, output, list } = request;
  const routes = routesOf(machine, checkedInput(request));
  const places = placesOf(machine, queue).map((place) => ({
    place,
    cells: cellsOf(place.venue, routes).filter((cell) => isWanted(cell, only)),
  }));
  const cells = places.flatMap((one) => one.cells);
  if (cells.length === 0) throw usage(`no cell has all of: ${only.join(', ')} (--list names them)`);
  if (list) return listCells(io, cells);
  const began = performance.now();
  const outcomes = await runAll(request, places, routes);
  const minutes = (performance.now() - began) / 60_000;
  const proof: Proof = {
    machine: machine.ref,
    cells,
    outcomes,
    minutes,
    unreached: unreached(machine, routes),
  };
  if (output === 'json') printJson(io, proofAsData(proof));
  else printProof(io, proof);
  if (request.svg !== undefined) await save(request.svg, heatMap(proof));
  if (io.interrupted.aborted) return exitCodes[io.interrupted.reason as 'SIGINT' | 'SIGTERM'];
  return hasFailed(proof) ? exitCodes.failed : exitCodes.done;
};

const checkedInput = ({ machine, input }: Request): unknown => {
  const checked = machine.input.safeParse(input);
  if (!checked.success)
    throw usage(`${machine.ref} needs an input (--input '{…}'): ${schemaProblems(checked.error)}`);
  return input;
};

const isWanted = (cell: Cell, only: readonly string[]): boolean => {
  const name = cellName(cell).toLowerCase();
  return only.every((word) => name.includes(word.toLowerCase()));
};

const listCells = (io: Io, cells: readonly Cell[]): number => {
  for (const cell of cells) {
    const why = cell.impossible === undefined ? '' : `: cannot happen: ${cell.impossible}`;
    print(io, safe(`${cellName(cell)}${why}`));
  }
  return exitCodes.done;
};

/** How many cells pass between two lines where no bar can be drawn. */
const toldEvery = 25;

type Cells = { readonly place: Place; readonly cells: readonly Cell[] };

const runAll = async (
  request: Request,
  places: readonly Cells[],
  routes: readonly Route[],
): Promise<Outcome[]> => {
  const { io, jobs } = request;
  const folder = await mkdtemp(path.join(tmpdir(), 'holdfast-prove-'));
  const total = places
    .flatMap(({ cells }) => cells)
    .filter(({ impossible }) => impossible === undefined).length;
  const bar = progressBar(io, 'cells');
  const outcomes: Outcome[] = [];
  const onOutcome = (outcome: Outcome) => {
    const done = outcomes.push(outcome);
    bar.update(done, total);
    if (io.err.isTTY !== true && done % toldEvery === 0) say(io, `${done} of ${total} cells`);
    if (outcome.problems.length === 0) return;
    bar.end();
    say(io, safe(`${cellName(outcome.cell)}: ${outcome.problems[0]!.text}`));
  };
  try {
    bar.update(0, total);
    for (const { place, cells } of places) {
      const possible = cells.filter(({ impossible }) => impossible === undefined);
      if (possible.length === 0) continue;
      await runAt(request, place, possible, { folder, routes, jobs, signal: io.interrupted, onOutcome });
    }
    return outcomes;
  } finally {
    bar.end();
    await rm(folder, { recursive: true, force: true, maxRetries: 5 });
  }
};

const runAt = async (
  { settings, ...request }: Request,
  { venue, open }: Place,
  cells: readonly Cell[],
  { folder, routes, ...pace }: Pace & { folder: string; routes: readonly Route[] },
): Promise<void> => {
  const opened = await open(settings);
  const hasProxy = venue.queue === 'RabbitMQ' && venue.impossible.connection === undefined;
  const world = { ...request, folder, settings: opened.settings, hasProxy };
  try {
    await rehearse(world, routes);
    await runMatrix({ cells, world, broker: opened.broker }, pace);
  } finally {
    await opened.broker?.dispose();
  }
};

const save = async (file: string, text: string): Promise<void> => {
  try {
    await writeFile(file, text);
  } catch (error) {
    throw new CliError(exitCodes.failed, `--svg ${file} cannot be written: ${messageOf(error)}`, {
      cause: error,
    });
  }
};
