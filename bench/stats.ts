/** What several repetitions of one measurement say. */
export type Spread = {
  readonly min: number;
  readonly median: number;
  readonly max: number;
  readonly rounds: readonly number[];
};

export const spread = (rounds: readonly number[]): Spread => {
  const sorted = rounds.toSorted((one, two) => one - two);
  return { min: sorted[0]!, median: medianOf(sorted), max: sorted.at(-1)!, rounds };
};

const medianOf = (sorted: readonly number[]): number => {
  const middle = sorted.length / 2;
  return (sorted[Math.floor(middle)]! + sorted[Math.ceil(middle) - 1]!) / 2;
};

/** By nearest rank: a value that was measured, never one between two. */
export const percentile = (values: readonly number[], percent: number): number => {
  const sorted = values.toSorted((one, two) => one - two);
  return sorted[Math.max(0, Math.ceil((percent / 100) * sorted.length) - 1)]!;
};

/** Each round against the other's of the same round: what drifts on the machine meets both. */
export const ratios = (rounds: readonly number[], others: readonly number[]): Spread =>
  spread(rounds.map((value, round) => value / others[round]!));
