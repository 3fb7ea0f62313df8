import * as fc from 'fast-check';

/**
 * What becomes of a publish: `unconfirmed` and `cut` have arrived, `nacked` and `dropped` have not. Where there is no
 * broker, it is the process that is gone before it can say so.
 */
export type ConfirmFate = 'confirmed' | 'unconfirmed' | 'cut' | 'nacked' | 'dropped';

/** What becomes of a request: `slow` and `reset` have had their effect, `refused` never arrived. */
export type RequestFate = 'done' | 'slow' | 'reset' | 'refused' | 500 | 429 | 422;

/** `other` is another input under the same key, `broken` is not JSON. */
export type SubmissionKind = 'todo' | 'other' | 'broken';

export type Submission = { readonly at: number; readonly key: number; readonly kind: SubmissionKind };

/** What a worker's process suffers. `for` is how long it, or the next one in its place, is away (ms). */
type Blow = 'killed' | 'paused' | 'drained' | 'consumerCut' | 'publisherCut';

/** At a broker, or in tables of the store's file. */
export const queueKinds = ['amqp', 'embedded'] as const;

export type QueueKind = (typeof queueKinds)[number];

/** A commit is one of a turn, a write any group of them. */
type LastWords = 'diesBeforeCommit' | 'diesAfterCommit' | 'diesBeforeWrite' | 'diesAfterWrite';

type Outage = 'brokerKilled' | 'diskFull' | 'diskLocked' | 'alertsUnbound' | 'receiverAway';

/** `requeued` is a dead letter, by a person. */
type Unrest = 'consumerCancelled' | 'ackTimeout' | 'duplicated' | 'shuffled' | 'requeued';

export type Trouble = { readonly at: number } & (
  | { readonly type: Blow; readonly worker: number; readonly for: number }
  /** The process dies with a commit: before it is written, or after. */
  | { readonly type: LastWords; readonly worker: number; readonly for: number }
  | { readonly type: Outage; readonly for: number }
  /** Whoever has a message in hand sleeps for longer than its lease lasts. */
  | { readonly type: 'holderStopped'; readonly for: number }
  | { readonly type: Unrest }
  /** By so many ms, while time goes on. */
  | { readonly type: 'clockSetBack'; readonly by: number }
  /** So many processes die of the run's audit, one after the other. */
  | { readonly type: 'poisonous'; readonly key: number; readonly times: number }
  /** By a person. */
  | { readonly type: 'cancel' | 'retry'; readonly key: number }
);

/** All that makes a history: the same scenario is the same history. Times are ms since its beginning. */
export type Scenario = {
  readonly dice: number;
  readonly queue: QueueKind;
  readonly workers: number;
  readonly concurrency: number;
  /** Whether the audit service can be asked what took effect. */
  readonly verifies: boolean;
  readonly submissions: readonly Submission[];
  readonly requests: readonly RequestFate[];
  readonly confirms: readonly ConfirmFate[];
  readonly troubles: readonly Trouble[];
};

/** Most of what matters happens while runs are under way, which is soon. */
const moment = fc.oneof(
  { weight: 3, arbitrary: fc.nat(80) },
  { weight: 2, arbitrary: fc.nat(500) },
  { weight: 1, arbitrary: fc.nat(5000) },
);

/** Now and then longer than a lease lasts. */
const span = fc.oneof(
  { weight: 4, arbitrary: fc.nat(2000) },
  { weight: 1, arbitrary: fc.integer({ min: 15_000, max: 30_000 }) },
);

const worker = fc.nat(2);

const request: fc.Arbitrary<RequestFate> = fc.constantFrom<RequestFate[]>(
  'done',
  'slow',
  'reset',
  'refused',
  500,
  429,
  422,
);

const submissionOf = (key: fc.Arbitrary<number>): fc.Arbitrary<Submission> =>
  fc.record({
    at: fc.nat(60),
    key,
    kind: fc.constantFrom('todo', 'todo', 'todo', 'todo', 'other', 'broken'),
  });

const blowOf = (...types: Blow[]): fc.Arbitrary<Trouble> =>
  fc.record({ at: moment, type: fc.constantFrom(...types), worker, for: span });

const lastWordsOf = (...types: LastWords[]): fc.Arbitrary<Trouble> =>
  fc.record({ at: moment, type: fc.constantFrom(...types), worker, for: span });

const outageOf = (...types: Outage[]): fc.Arbitrary<Trouble> =>
  fc.record({ at: moment, type: fc.constantFrom(...types), for: fc.nat(3000) });

const unrestOf = (...types: Unrest[]): fc.Arbitrary<Trouble> =>
  fc.record({ at: moment, type: fc.constantFrom(...types) });

const holderStopped: fc.Arbitrary<Trouble> = fc.record({
  at: moment,
  type: fc.constant('holderStopped'),
  for: fc.integer({ min: 15_000, max: 30_000 }),
});

const setBack: fc.Arbitrary<Trouble> = fc.record({
  at: moment,
  type: fc.constant('clockSetBack'),
  by: fc.integer({ min: 1000, max: 3_600_000 }),
});

const commandOf = (key: fc.Arbitrary<number>): fc.Arbitrary<Trouble> =>
  fc.record({ at: moment, type: fc.constantFrom('cancel', 'retry'), key });

/** A run fails for it when a sixth worker has taken it up. */
const poisonOf = (key: fc.Arbitrary<number>): fc.Arbitrary<Trouble> =>
  fc.record({ at: moment, type: fc.constant('poisonous'), key, times: fc.constantFrom(1, 2, 7) });

/** How many runs there may be, at most so many submissions, and at most so much that goes wrong between machines. */
type Size = {
  readonly runs: number;
  readonly submissions: { readonly minLength: number; readonly maxLength: number };
  readonly requests: number;
  readonly confirms: number;
};

/** What goes wrong with each queue alone. */
const queues = {
  amqp: {
    confirm: fc.constantFrom<ConfirmFate[]>(
      'confirmed',
      'confirmed',
      'unconfirmed',
      'cut',
      'nacked',
      'dropped',
    ),
    troubles: [
      { weight: 3, arbitrary: blowOf('killed', 'paused', 'drained', 'consumerCut', 'publisherCut') },
      { weight: 2, arbitrary: lastWordsOf('diesBeforeCommit', 'diesAfterCommit') },
      { weight: 2, arbitrary: outageOf('brokerKilled', 'diskFull', 'alertsUnbound', 'receiverAway') },
      { weight: 2, arbitrary: unrestOf('consumerCancelled', 'ackTimeout', 'duplicated', 'shuffled') },
    ],
  },
  embedded: {
    confirm: fc.constantFrom<ConfirmFate[]>('confirmed', 'unconfirmed', 'dropped'),
    troubles: [
      { weight: 2, arbitrary: blowOf('killed', 'paused', 'drained') },
      { weight: 1, arbitrary: holderStopped },
      { weight: 1, arbitrary: lastWordsOf('diesBeforeCommit', 'diesAfterCommit') },
      { weight: 2, arbitrary: lastWordsOf('diesBeforeWrite', 'diesAfterWrite') },
      { weight: 2, arbitrary: outageOf('diskFull', 'diskLocked', 'receiverAway') },
      { weight: 1, arbitrary: unrestOf('duplicated', 'requeued') },
    ],
  },
} satisfies Record<QueueKind, unknown>;

const scenarioOf = (
  { runs, submissions, requests, confirms }: Size,
  queue: QueueKind,
): fc.Arbitrary<Scenario> => {
  const key = fc.nat(runs - 1);
  const { confirm, troubles } = queues[queue];
  const trouble = fc.oneof(
    ...troubles,
    { weight: runs > 2 ? 2 : 0, arbitrary: outageOf('receiverAway') }, // it takes a crowd to notice
    { weight: 1, arbitrary: setBack },
    { weight: 2, arbitrary: commandOf(key) },
    { weight: 1, arbitrary: poisonOf(key) },
  );
  return fc.record({
    dice: fc.nat(),
    queue: fc.constant(queue),
    workers: fc.constantFrom(1, 1, 2, 2, 2, 3),
    concurrency: fc.integer({ min: 1, max: 8 }),
    verifies: fc.boolean(),
    submissions: fc.array(submissionOf(key), submissions),
    requests: fc.array(request, { maxLength: requests }),
    confirms: fc.array(confirm, { maxLength: confirms }),
    troubles: fc.array(trouble, { maxLength: 4 }),
  });
};

const alone: Size = { runs: 1, submissions: { minLength: 1, maxLength: 2 }, requests: 2, confirms: 2 };
const few: Size = { runs: 2, submissions: { minLength: 1, maxLength: 3 }, requests: 3, confirms: 3 };
const crowd: Size = { runs: 12, submissions: { minLength: 8, maxLength: 14 }, requests: 12, confirms: 8 };

/**
 * Nearly every bug shows in a history of one run or two, of which many more are played in the same time: the small
 * scope hypothesis (D. Jackson, "Software Abstractions"). Some need a crowd: calls are held back when five runs have
 * failed in a row.
 */
export const scenario: fc.Arbitrary<Scenario> = fc.oneof(
  { weight: 24, arbitrary: scenarioOf(alone, 'amqp') },
  { weight: 16, arbitrary: scenarioOf(alone, 'embedded') },
  { weight: 12, arbitrary: scenarioOf(few, 'amqp') },
  { weight: 8, arbitrary: scenarioOf(few, 'embedded') },
  { weight: 1, arbitrary: scenarioOf(crowd, 'amqp') },
  { weight: 1, arbitrary: scenarioOf(crowd, 'embedded') },
);
