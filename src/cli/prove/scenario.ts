/** How a worker is brought to a cell's step, and where it stands still there. */
import type { Route } from '../../engine/routes.ts';
import { isCancel, lastRow } from './cells.ts';
import type { Cell } from './cells.ts';
import { attemptOf, commitOf, during, inside } from './points.ts';
import type { Point } from './points.ts';
import type { Script, ScriptedAnswer } from './script.ts';

/** The answers that lead to the step. A run that is to be cancelled waits in the state before. */
export const scriptOf = (route: Route): Script => {
  const script: Record<string, ScriptedAnswer[]> = {};
  const answer = (call: string, given: ScriptedAnswer) => (script[call] ??= []).push(given);
  const last = route.happenings.findLast((happening) => happening.type === 'answer');
  for (const happening of route.happenings) {
    if (happening.type !== 'answer') continue;
    const waits = isCancel(route) && happening === last && happening.answer === 'transient';
    answer(happening.call, waits ? 'postponed' : happening.answer);
  }
  if (route.failing !== undefined) answer(route.failing, 'permanent');
  if (isCancel(route)) for (const { name } of route.callsBefore) answer(name, 'withheld');
  return script;
};

/** The same for the worker that takes over: what was withheld is given now. */
export const scriptAfter = (route: Route): Script =>
  Object.fromEntries(
    Object.entries(scriptOf(route)).map(([call, answers]) => [
      call,
      answers.map((answer) => (answer === 'withheld' ? 'ok' : answer)),
    ]),
  );

/**
 * - `worker`: at the points of `stopsOf`
 * - `receiver`: with an audit entry in the receiver's hands
 * - `proxy`: with an alert in the broker's hands
 */
export type Holder = 'worker' | 'receiver' | 'proxy';

/** Who holds the call while it is under way. */
export const holderOf = ({ route, moment, venue }: Cell, seesCalls: boolean): Holder => {
  if (moment !== 'during' || !seesCalls) return 'worker';
  const call = route.calls[0]?.name;
  if (call === 'sendAudit') return 'receiver';
  return call === 'sendAlert' && venue.queue === 'RabbitMQ' && venue.impossible.connection === undefined
    ? 'proxy'
    : 'worker';
};

const at = (name: string, when: Point['when']): Point => ({ at: name, n: 1, when });

/** Where the worker stands still, one after the other. */
export const stopsOf = (cell: Cell, seesCalls: boolean): Point[] => {
  const commit = commitOf(lastRow(cell.route));
  const drain = at('queue.close', 'before');
  if (isCancel(cell.route)) {
    if (cell.moment === 'ack') return [at('queue.ack', 'before')];
    return cell.moment === 'draining' ? [drain] : [];
  }
  switch (cell.moment) {
    case 'before':
      return [at(commit, 'before')];
    case 'inside':
      return [at(inside(commit), 'before')];
    case 'committed':
      return [at(commit, 'after')];
    case 'during':
      return holderOf(cell, seesCalls) === 'worker' ? [at(duringPoint(cell, seesCalls), 'before')] : [];
    case 'effect':
      return [at(callPoint(cell), 'after')];
    case 'ack':
      return [at('queue.ack', 'before')];
    case 'draining':
      return [at(commit, 'after'), drain];
  }
};

/** An alert of the embedded queue is a row: the call is under way inside its transaction. */
const duringPoint = (cell: Cell, seesCalls: boolean): string =>
  seesCalls && cell.venue.queue === 'embedded' && cell.route.calls[0]?.name === 'sendAlert'
    ? inside('call.sendAlert')
    : during(callPoint(cell));

const callPoint = ({ route }: Cell): string => {
  const { name, attempt } = route.calls[0]!;
  return attemptOf(name, attempt);
};
