/** Runs cells, several at a time: they mostly wait. */
import { messageOf } from '../../engine/errors.ts';
import type { Broker } from '../broker/broker.ts';
import { brokerOutage } from './broker-outage.ts';
import type { Cell } from './cells.ts';
import { runCell } from './run-cell.ts';
import type { Outcome } from './run-cell.ts';
import type { World } from './site.ts';
import { nothingSeen } from './verdict.ts';

/** Cells that can happen at one place. */
export type Batch = {
  readonly cells: readonly Cell[];
  readonly world: World;
  /** One that is ours to kill. */
  readonly broker: Broker | undefined;
};

export type Pace = {
  /** How many cells run at once. */
  readonly jobs: number;
  /** No cell is begun after it. */
  readonly signal: AbortSignal;
  readonly onOutcome: (outcome: Outcome) => void;
};

/** A broker dies for all cells at once, so those that need it die together, this many at a time. */
const togetherAtMost = 17;

export const runMatrix = async ({ cells, world, broker }: Batch, pace: Pace): Promise<void> => {
  const alone = cells.filter(({ fault }) => fault !== 'broker');
  await inParallel(alone, pace, (cell) => settle(cell, runCell(cell, world)));
  const together = cells.filter(({ fault }) => fault === 'broker');
  for (let first = 0; first < together.length && !pace.signal.aborted; first += togetherAtMost) {
    const group = together.slice(first, first + togetherAtMost);
    const outage = brokerOutage(broker!, group.length);
    await inParallel(group, { ...pace, jobs: group.length }, (cell) => {
      const membership = outage.join();
      return settle(cell, runCell(cell, world, membership)).finally(membership.leave);
    });
  }
};

const inParallel = async (
  cells: readonly Cell[],
  { jobs, signal, onOutcome }: Pace,
  run: (cell: Cell) => Promise<Outcome>,
): Promise<void> => {
  const waiting = [...cells];
  const work = async () => {
    for (let cell = waiting.shift(); cell && !signal.aborted; cell = waiting.shift())
      onOutcome(await run(cell));
  };
  await Promise.all(Array.from({ length: jobs }, work));
};

/** A cell that cannot be set up has failed, and does not hold up the others. */
const settle = (cell: Cell, outcome: Promise<Outcome>): Promise<Outcome> =>
  outcome.catch((error: unknown) => ({
    cell,
    count: nothingSeen,
    seconds: undefined,
    problems: [{ run: undefined, text: messageOf(error) }],
    story: undefined,
  }));
