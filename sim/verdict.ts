import type { Database } from '../src/sqlite/database.ts';
import { isCensusRight } from '../src/store/sqlite/census.ts';
import type { Accepted } from './people.ts';
import { retryAfterSeconds } from './receiver.ts';
import type { World } from './world.ts';

type RunRow = { id: string; seq: number; status: string; state: string; input: string; attempts: string };
type Row = {
  run: string;
  seq: number;
  at: number;
  event: string;
  from_state: string | null;
  to_state: string;
  attempt: number | null;
  receipt: string | null;
};

/** What a history must leave behind, when everything has recovered by itself. */
export const judge = (world: World, accepted: readonly Accepted[]): void => {
  const { journal, disk } = world;
  const runs = disk.db.all<RunRow>('SELECT id, seq, status, state, input, attempts FROM runs');
  const histories = historiesOf(disk.db);
  for (const submission of accepted) answer(world, runs, submission);
  for (const run of runs) {
    if (run.status === 'active') journal.violate(`unfinished: ${run.id} stays in ${run.state}`);
    if (run.status === 'done') effects(world, run);
    follow(world, run, histories.get(run.id) ?? []);
  }
  if (!isCensusRight(disk.db)) journal.violate('census: it does not say how many runs are where');
  for (const { id, error } of world.post.dead())
    if (typeof error !== 'string' || error.trim() === '')
      journal.violate(`the dead letter ${id} has no reason`);
};

const historiesOf = (db: Database): Map<string, Row[]> =>
  Map.groupBy(db.all<Row>('SELECT * FROM history ORDER BY run, seq'), ({ run }) => run);

/** It is the run of its key, or a dead letter that says why not. */
const answer = ({ journal, post }: World, runs: readonly RunRow[], { id, kind, body }: Accepted): void => {
  if (kind !== 'broken' && runs.some((run) => run.id === id && run.input === body)) return;
  if (!post.dead().some((dead) => dead.id === id && dead.body === body))
    journal.violate(`lost: the ${kind} ${id} was accepted, and is neither a run nor a dead letter`);
};

const effects = ({ journal, ledger, disk }: World, { id }: RunRow): void => {
  for (const call of ['sendAlert', 'sendAudit'] as const)
    if (ledger.count(call, id) === 0) journal.violate(`lost: ${id} is done, and ${call} never took effect`);
  if (!disk.db.get('SELECT 1 FROM todos WHERE id = :id', { id }))
    journal.violate(`lost: ${id} is done, and its todo is not saved`);
};

/** The history of a run: without a gap, each call answered once an attempt, each wait as long as it was asked for. */
const follow = ({ journal, clock }: World, run: RunRow, rows: readonly Row[]): void => {
  const attempts = new Map<string, number>();
  let before: Row | undefined;
  for (const [index, row] of rows.entries()) {
    if (row.seq !== index + 1) return journal.violate(`gap: ${run.id} has no transition ${index + 1}`);
    checkAttempt(journal, run, row, attempts);
    if (before && !clock.wasSetBack) checkWait(journal, run, before, row);
    before = row;
  }
  if (before?.seq !== run.seq)
    journal.violate(`gap: ${run.id} is at ${run.seq}, its history at ${before?.seq}`);
  return undefined;
};

const calls: Record<string, string> = {
  saving: 'saveTodo',
  makingAlert: 'makeAlert',
  sendingAlert: 'sendAlert',
  sendingAudit: 'sendAudit',
};

/** Entering a state asks for its call once more; only the answer to that attempt may move the run. */
const checkAttempt = (journal: World['journal'], run: RunRow, row: Row, asked: Map<string, number>): void => {
  const answered = calls[row.from_state ?? ''];
  if (row.attempt !== null && answered && row.attempt !== asked.get(answered))
    journal.violate(`stale: ${run.id} #${row.seq} took the answer to attempt ${row.attempt} of ${answered}`);
  const call = calls[row.to_state];
  if (call) asked.set(call, (asked.get(call) ?? 0) + 1);
};

const checkWait = (journal: World['journal'], run: RunRow, before: Row, row: Row): void => {
  const status =
    before.receipt === null ? undefined : (JSON.parse(before.receipt) as { status?: number }).status;
  if (status === 429 && row.event.startsWith('after') && row.at - before.at < retryAfterSeconds * 1000)
    journal.violate(`impatient: ${run.id} tried again ${row.at - before.at} ms after a Retry-After`);
};
