import { contextOf } from '../../engine/chart.ts';
import { refOf } from '../../engine/run.ts';
import type { Run, Transition } from '../../engine/run.ts';
import type { Away, WaitingFor } from '../waiting.ts';
import { formatDuration } from '../duration.ts';
import { print } from '../io.ts';
import type { Io } from '../io.ts';
import { printFields } from './fields.ts';
import type { Field } from './fields.ts';
import { safe } from './safe.ts';
import { paint, statusStyle } from './style.ts';
import { tableLines } from './table.ts';
import { age, shownClock, shownTime } from './time.ts';

/** A run as a person reads it, from top to bottom. */
export const printRun = (
  io: Io,
  {
    run,
    waitingFor,
    history,
    now,
  }: { run: Run; waitingFor: WaitingFor; history: readonly Transition[]; now: number },
): void => {
  const heading = (text: string) => print(io, `\n${paint(io, 'bold', text)}`);
  printFields(io, [
    ['id', safe(run.id)],
    ['machine', safe(refOf(run))],
    [
      'state',
      `${paint(io, statusStyle[run.status], safe(run.state))}${run.status === 'active' ? '' : ', final'}`,
    ],
    ['since', `${shownTime(io, run.updatedAt)} (${age(run.updatedAt, now)} ago)`],
    ['created', shownTime(io, run.createdAt)],
    ...(waitingFor === null ? [] : waitingFields(io, waitingFor, now)),
    ...(run.reason === null ? [] : [['reason', paint(io, 'red', safe(run.reason))] satisfies Field]),
  ]);
  heading('Data');
  for (const line of JSON.stringify(contextOf(run.snapshot), null, 2).split('\n'))
    print(io, `  ${safe(line)}`);
  heading('Timeline');
  printTimeline(io, history);
};

const waitingFields = (io: Io, waitingFor: NonNullable<WaitingFor>, now: number): Field[] => {
  if (waitingFor.length === 0) return [['waits for', 'an event from outside']];
  return waitingFor.flatMap((wanted): Field[] => {
    if (wanted.type === 'call') {
      return [
        ['waits for', `the answer of ${safe(wanted.call)}, attempt ${wanted.attempt}`],
        ...(wanted.away ? awayFields(io, wanted.away, now) : []),
        ['under key', safe(wanted.key)],
      ];
    }
    if (wanted.type === 'machine')
      return [
        ['waits for', `a worker that knows ${safe(wanted.machine)}: it is not known here, give --machines`],
      ];
    const until = Date.parse(wanted.until);
    const left = until > now ? `in ${formatDuration(until - now)}` : 'due';
    return [['waits for', `"${safe(wanted.event)}" until ${shownTime(io, until)} (${left})`]];
  });
};

const awayFields = (io: Io, { since, nextProbeAt, error }: Away, now: number): Field[] => {
  const [began, next] = [Date.parse(since), Date.parse(nextProbeAt)];
  return [
    ['away', `its receiver, since ${shownTime(io, began)} (${age(began, now)}): ${safe(error)}`],
    ['next probe', next > now ? `in ${formatDuration(next - now)}` : 'under way'],
  ];
};

const columns = [
  { head: 'SEQ', align: 'right' },
  { head: 'TIME' },
  { head: 'EVENT', shrinks: true },
  { head: 'FROM → TO', shrinks: true },
  { head: 'TRY', align: 'right' },
  { head: 'TOOK', align: 'right' },
] as const;

/** Something that happened around the run, shown between the transitions before and after it. */
export type Mark = { readonly at: number; readonly text: string };

/** A line for each transition; below it what came back, as long as it is. */
export const printTimeline = (io: Io, history: readonly Transition[], marks: readonly Mark[] = []): void => {
  const rows = history.map(({ seq, at, event, from, to, attempt, duration }) => [
    String(seq),
    shownClock(io, at),
    safe(event),
    safe(from === null ? to : `${from} → ${to}`),
    attempt === null ? '' : String(attempt),
    duration === null ? '' : formatDuration(duration),
  ]);
  const [head = '', ...lines] = tableLines(io, columns, rows);
  print(io, head);
  const left = [...marks];
  for (const [index, line] of lines.entries()) {
    while (left[0] && left[0].at <= history[index]!.at) print(io, markText(io, left.shift()!));
    print(io, line);
    for (const detail of detailsOf(io, history[index]!)) print(io, `     ${detail}`);
  }
  for (const mark of left) print(io, markText(io, mark));
};

const markText = (io: Io, { at, text }: Mark): string =>
  paint(io, 'yellow', `  ─  ${shownClock(io, at)}  ${text}`);

const detailsOf = (io: Io, { error, receipt }: Transition): string[] => [
  ...(error === null ? [] : [paint(io, 'red', safe(error))]),
  ...(receipt === null ? [] : [paint(io, 'dim', `receipt ${safe(JSON.stringify(receipt))}`)]),
];
