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
  | { readonly type: 'brokerKilled' | 'diskFull' | 'alertsUnbound'; readonly for: number }
  | { readonly type: 'consumerCancelled' | 'ackTimeout' | 'duplicated' | 'shuffled' }
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

const keys = 8;

/** Most of what matters happens while runs are under way, which is soon. */
const moment = fc.oneof({ weight: 4, arbitrary: fc.nat(300) }, { weight: 1, arbitrary: fc.nat(6000) });

/** Now and then longer than a lease lasts. */
const span = fc.oneof({ weight: 6, arbitrary: fc.nat(2000) }, { weight: 1, arbitrary: fc.nat(25_000) });

const worker = fc.nat(2);

const submission: fc.Arbitrary<Submission> = fc.record({
  at: fc.nat(200),
  key: fc.nat(keys - 1),
  kind: fc.constantFrom('todo', 'todo', 'todo', 'todo', 'other', 'broken'),
});

const request: fc.Arbitrary<RequestFate> = fc.constantFrom<RequestFate[]>(
  'done',
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
  'confirmed',
  'unconfirmed',
  'cut',
  'nacked',
  'dropped',
);

const trouble: fc.Arbitrary<Trouble> = fc.oneof(
  fc.record({
    at: moment,
    type: fc.constantFrom('killed', 'killed', 'paused', 'paused', 'drained', 'consumerCut', 'publisherCut'),
    worker,
    for: span,
  }),
  fc.record({
    at: moment,
    type: fc.constantFrom('diesBeforeCommit', 'diesAfterCommit'),
    worker,
    for: span,
  }),
  fc.record({
    at: moment,
    type: fc.constantFrom('brokerKilled', 'diskFull', 'alertsUnbound'),
    for: fc.nat(3000),
  }),
  fc.record({
    at: moment,
    type: fc.constantFrom('consumerCancelled', 'ackTimeout', 'duplicated', 'shuffled'),
  }),
  fc.record({ at: moment, type: fc.constantFrom('cancel', 'retry'), key: fc.nat(keys - 1) }),
);

export const scenario: fc.Arbitrary<Scenario> = fc.record({
  dice: fc.nat(),
  workers: fc.integer({ min: 1, max: 3 }),
  concurrency: fc.integer({ min: 1, max: 8 }),
  verifies: fc.boolean(),
  submissions: fc.array(submission, { minLength: 1, maxLength: 9 }),
  requests: fc.array(request, { maxLength: 12 }),
  confirms: fc.array(confirm, { maxLength: 8 }),
  troubles: fc.array(trouble, { maxLength: 4 }),
});
