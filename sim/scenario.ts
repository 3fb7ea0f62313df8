import * as fc from 'fast-check';

/** What becomes of a publish: `unconfirmed` and `cut` have arrived, `nacked` and `dropped` have not. */
export type ConfirmFate = 'confirmed' | 'unconfirmed' | 'cut' | 'nacked' | 'dropped';

/** What becomes of a request: `slow` and `reset` have had their effect, `refused` never arrived. */
export type RequestFate = 'done' | 'slow' | 'reset' | 'refused' | 500 | 429 | 422;

/** `other` is another input under the same key, `broken` is not JSON. */
export type SubmissionKind = 'todo' | 'other' | 'broken';

export type Submission = { readonly at: number; readonly key: number; readonly kind: SubmissionKind };

/** What a worker's process suffers. `for` is how long it, or the next one in its place, is away (ms). */
type Blow = 'killed' | 'paused' | 'drained' | 'consumerCut' | 'publisherCut';

export type Trouble = { readonly at: number } & (
  | { readonly type: Blow; readonly worker: number; readonly for: number }
  /** The process dies with a commit: before it is written, or after. */
  | { readonly type: 'diesBeforeCommit' | 'diesAfterCommit'; readonly worker: number; readonly for: number }
  | { readonly type: 'brokerKilled' | 'diskFull' | 'alertsUnbound' | 'receiverAway'; readonly for: number }
  | { readonly type: 'consumerCancelled' | 'ackTimeout' | 'duplicated' | 'shuffled' }
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

const confirm: fc.Arbitrary<ConfirmFate> = fc.constantFrom(
  'confirmed',
  'confirmed',
  'unconfirmed',
  'cut',
  'nacked',
  'dropped',
);

const submissionOf = (key: fc.Arbitrary<number>): fc.Arbitrary<Submission> =>
  fc.record({
    at: fc.nat(60),
    key,
    kind: fc.constantFrom('todo', 'todo', 'todo', 'todo', 'other', 'broken'),
  });

const blow: fc.Arbitrary<Trouble> = fc.record({
  at: moment,
  type: fc.constantFrom('killed', 'paused', 'drained', 'consumerCut', 'publisherCut'),
  worker,
  for: span,
});

const lastWords: fc.Arbitrary<Trouble> = fc.record({
  at: moment,
  type: fc.constantFrom('diesBeforeCommit', 'diesAfterCommit'),
  worker,
  for: span,
});

const outage: fc.Arbitrary<Trouble> = fc.record({
  at: moment,
  type: fc.constantFrom('brokerKilled', 'diskFull', 'alertsUnbound', 'receiverAway'),
  for: fc.nat(3000),
});

const unrest: fc.Arbitrary<Trouble> = fc.record({
  at: moment,
  type: fc.constantFrom('consumerCancelled', 'ackTimeout', 'duplicated', 'shuffled'),
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

const scenarioOf = ({ runs, submissions, requests, confirms }: Size): fc.Arbitrary<Scenario> => {
  const key = fc.nat(runs - 1);
  const trouble = fc.oneof(
    { weight: 3, arbitrary: blow },
    { weight: 2, arbitrary: lastWords },
    { weight: 2, arbitrary: outage },
    { weight: 2, arbitrary: unrest },
    { weight: 1, arbitrary: setBack },
    { weight: 2, arbitrary: commandOf(key) },
    { weight: 1, arbitrary: poisonOf(key) },
  );
  return fc.record({
    dice: fc.nat(),
    workers: fc.constantFrom(1, 1, 2, 2, 2, 3),
    concurrency: fc.integer({ min: 1, max: 8 }),
    verifies: fc.boolean(),
    submissions: fc.array(submissionOf(key), submissions),
    requests: fc.array(request, { maxLength: requests }),
    confirms: fc.array(confirm, { maxLength: confirms }),
    troubles: fc.array(trouble, { maxLength: 4 }),
  });
};

const alone = scenarioOf({
  runs: 1,
  submissions: { minLength: 1, maxLength: 2 },
  requests: 2,
  confirms: 2,
});
const few = scenarioOf({ runs: 2, submissions: { minLength: 1, maxLength: 3 }, requests: 3, confirms: 3 });
const crowd = scenarioOf({
  runs: 12,
  submissions: { minLength: 8, maxLength: 14 },
  requests: 12,
  confirms: 8,
});

/**
 * Nearly every bug shows in a history of one run or two, of which many more are played in the same time: the small
 * scope hypothesis (D. Jackson, "Software Abstractions"). Some need a crowd: calls are held back when five runs have
 * failed in a row.
 */
export const scenario: fc.Arbitrary<Scenario> = fc.oneof(
  { weight: 20, arbitrary: alone },
  { weight: 10, arbitrary: few },
  { weight: 1, arbitrary: crowd },
);
