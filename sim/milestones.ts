/** Where a history may come to. What none of them reaches, the simulation proves nothing about. */
export const milestones = [
  'takeover',
  'buried worker',
  'lost lease',
  'late write',
  'redelivery',
  'repeated effect',
  'verified effect',
  'lap',
  'dead letter',
  'open circuit',
  'full disk',
  'clock set back',
  'cancel',
  'retry',
  'poison run',
] as const;

export type Milestone = (typeof milestones)[number];

/** How many histories came to each. */
export type Reached = Record<Milestone, number>;

export const noneReached = (): Reached =>
  Object.fromEntries(milestones.map((milestone) => [milestone, 0])) as Reached;
