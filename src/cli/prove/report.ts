/** The matrix as a person reads it: a grid for each queue, what was counted, what went wrong and how. */
import type { DrawnTransition } from '../../engine/drawing.ts';
import { print } from '../io.ts';
import type { Io } from '../io.ts';
import { printTimeline } from '../output/run.ts';
import { safe } from '../output/safe.ts';
import { paint } from '../output/style.ts';
import { printTable } from '../output/table.ts';
import { cellName, faults, moments } from './cells.ts';
import type { Cell, Fault, Moment } from './cells.ts';
import type { Outcome } from './run-cell.ts';
import { nothingSeen } from './verdict.ts';
import type { Count } from './verdict.ts';

export type Proof = {
  readonly machine: string;
  /** All cells, those that cannot happen included. */
  readonly cells: readonly Cell[];
  readonly outcomes: readonly Outcome[];
  /** Transitions of the chart that nothing leads to. */
  readonly unreached: readonly DrawnTransition[];
  readonly minutes: number;
};

const momentKeys = Object.keys(moments) as Moment[];
const faultKeys = Object.keys(faults) as Fault[];

export const hasFailed = ({ outcomes }: Proof): boolean =>
  outcomes.some(({ problems }) => problems.length > 0);

export const totalOf = (outcomes: readonly Outcome[]): Count =>
  outcomes.reduce(
    (sum, { count }) =>
      Object.fromEntries(
        Object.entries(sum).map(([name, number]) => [name, number + count[name as keyof Count]]),
      ) as Count,
    nothingSeen,
  );

export const printProof = (io: Io, proof: Proof): void => {
  const queues = new Set(proof.cells.map(({ venue }) => venue.queue));
  for (const queue of queues) {
    const of = ({ venue }: Cell) => venue.queue === queue;
    const outcomes = proof.outcomes.filter(({ cell }) => of(cell));
    if (outcomes.length === 0) continue;
    heading(io, `${proof.machine} on ${queue === 'RabbitMQ' ? queue : 'the embedded queue'}`);
    printGrid(io, proof.cells.filter(of), outcomes);
    heading(io, 'Counted at the receiving ends');
    printCounts(io, outcomes);
  }
  printLegend(io);
  printImpossible(io, proof);
  for (const outcome of proof.outcomes) if (outcome.problems.length > 0) printFailure(io, outcome);
  print(io, `\n${summaryOf(io, proof)}`);
};

const heading = (io: Io, text: string): void => print(io, `\n${paint(io, 'bold', text)}`);

/** A row a step, a column a moment, a sign a fault. */
const printGrid = (io: Io, cells: readonly Cell[], outcomes: readonly Outcome[]): void => {
  const byCell = new Map(outcomes.map((outcome) => [cellName(outcome.cell), outcome]));
  const signsOf = (members: readonly Cell[], moment: Moment): string =>
    faultKeys
      .map((fault) => members.find((cell) => cell.moment === moment && cell.fault === fault))
      .map((cell) => (cell ? signOf(io, cell, byCell.get(cellName(cell))) : ' '))
      .join('');
  const columns = [
    { head: 'STEP', shrinks: true },
    ...momentKeys.map((_, index) => ({ head: String(index + 1) })),
  ];
  const rows = [...Map.groupBy(cells, ({ step }) => step)].map(([step, members]) =>
    [safe(step)].concat(momentKeys.map((moment) => signsOf(members, moment))),
  );
  printTable(io, columns, rows);
};

const signOf = (io: Io, { impossible }: Cell, outcome: Outcome | undefined): string => {
  if (outcome && outcome.problems.length > 0) return paint(io, 'red', '✗');
  if (outcome) return paint(io, 'green', outcome.count.repeats > 0 ? '+' : '✓');
  return impossible === undefined ? ' ' : paint(io, 'dim', '·');
};

const printLegend = (io: Io): void => {
  print(io, '');
  for (const [index, moment] of momentKeys.entries()) print(io, `${index + 1}  ${moments[moment]}`);
  print(io, `\nin each: ${faultKeys.map((fault) => faults[fault]).join(', ')}`);
  print(io, '✓ nothing lost, phantom or doubled   + the same, with repeats under one key');
  print(io, '✗ failed   · cannot happen');
};

/** Not every machine has them. */
const seenSomewhere = new Set<keyof Count>(['todos', 'alerts', 'audits', 'others']);

const printCounts = (io: Io, outcomes: readonly Outcome[]): void => {
  const groups = [
    ...faultKeys.map((fault) => ({ name: fault, of: outcomes.filter(({ cell }) => cell.fault === fault) })),
    { name: 'all', of: outcomes },
  ].filter(({ of }) => of.length > 0);
  const counts = groups.map(({ of }) => totalOf(of));
  const columns = [
    { head: '' },
    ...groups.map(({ name }) => ({ head: name.toUpperCase(), align: 'right' as const })),
  ];
  const shown = (Object.keys(nothingSeen) as (keyof Count)[]).filter(
    (name) => !seenSomewhere.has(name) || counts.some((count) => count[name] > 0),
  );
  printTable(io, columns, [
    ['cells', ...groups.map(({ of }) => String(of.length))],
    ...shown.map((name) => [name as string].concat(counts.map((count) => String(count[name])))),
    ['median until final', ...groups.map(({ of }) => shownSeconds(quantile(secondsOf(of), 0.5)))],
    ['longest until final', ...groups.map(({ of }) => shownSeconds(quantile(secondsOf(of), 1)))],
  ]);
};

const secondsOf = (outcomes: readonly Outcome[]): number[] =>
  outcomes.flatMap(({ seconds }) => seconds ?? []).toSorted((one, two) => one - two);

const quantile = (sorted: readonly number[], share: number): number | undefined =>
  sorted[Math.round((sorted.length - 1) * share)];

const shownSeconds = (seconds: number | undefined): string =>
  seconds === undefined ? '' : `${seconds.toFixed(1)} s`;

const printImpossible = (io: Io, { cells, unreached }: Proof): void => {
  const impossible = cells.filter((cell) => cell.impossible !== undefined);
  const reasons = Map.groupBy(impossible, (cell) => cell.impossible!);
  if (reasons.size > 0) heading(io, `${impossible.length} cells cannot happen`);
  for (const [reason, members] of reasons)
    print(io, `${String(members.length).padStart(4)}  ${safe(reason)}`);
  for (const { from, to, label } of unreached)
    print(io, `      ${safe(`${label}: ${from ?? 'any state'} → ${to}`)}: no answer of a call leads to it`);
};

const printFailure = (io: Io, { cell, problems, story }: Outcome): void => {
  heading(io, paint(io, 'red', safe(cellName(cell))));
  for (const { run, text } of problems) print(io, safe(run === undefined ? text : `${run}: ${text}`));
  if (!story) return;
  print(io, `Timeline of ${safe(story.run)}`);
  printTimeline(io, story.history, story.marks);
};

const summaryOf = (io: Io, proof: Proof): string => {
  const { lost, phantom, doubled, repeats } = totalOf(proof.outcomes);
  const failed = proof.outcomes.filter(({ problems }) => problems.length > 0).length;
  const text = `${proof.outcomes.length} cells in ${proof.minutes.toFixed(1)} min: ${lost} lost, ${phantom} phantom, ${doubled} doubled; ${repeats} repeats under their own key`;
  return failed > 0 ? paint(io, 'red', `${text}; ${failed} cells failed`) : paint(io, 'green', text);
};

/** For programs: a row for each cell, with the reason where it cannot happen. */
export const proofAsData = (proof: Proof) => {
  const byCell = new Map(proof.outcomes.map((outcome) => [cellName(outcome.cell), outcome]));
  return {
    machine: proof.machine,
    minutes: Number(proof.minutes.toFixed(2)),
    total: { cells: proof.outcomes.length, ...totalOf(proof.outcomes) },
    unreached: proof.unreached,
    cells: proof.cells.map((cell) => {
      const { venue, step, moment, fault, impossible, route } = cell;
      const outcome = byCell.get(cellName(cell));
      const place = { queue: venue.queue, step, moment, fault, transitions: route.rows };
      if (!outcome) return { ...place, impossible: impossible ?? null };
      return {
        ...place,
        ...outcome.count,
        secondsUntilFinal: outcome.seconds ?? null,
        problems: outcome.problems,
        timeline: outcome.story ?? null,
      };
    }),
  };
};
