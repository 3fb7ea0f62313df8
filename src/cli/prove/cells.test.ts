import { describe, expect, test } from 'vitest';
import { todoMachine } from '../../../test/harness/engine.ts';
import { routesOf, unreached } from '../../engine/routes.ts';
import { cellName, cellsOf } from './cells.ts';
import type { Fault, Moment, Venue } from './cells.ts';

const machine = todoMachine();
const routes = routesOf(machine, { title: 'Prove it' });
const rabbit: Venue = { queue: 'RabbitMQ', impossible: {} };
const embedded: Venue = {
  queue: 'embedded',
  impossible: { connection: 'no connection', broker: 'no broker' },
};

// Written by hand from what the machine is meant to do, not from the machine.
const callFollows: Moment[] = ['before', 'inside', 'committed', 'during', 'effect', 'draining'];
const timerFollows: Moment[] = ['before', 'inside', 'committed', 'draining'];
const isFinal: Moment[] = ['before', 'inside', 'ack', 'draining'];
const expected: [step: string, transitions: number, moments: Moment[], end: string][] = [
  ['start → sendingAlert', 3, callFollows, 'done'],
  ['start, saveTodo error → failed', 2, isFinal, 'failed'],
  ['start, makeAlert error → failed', 3, isFinal, 'failed'],
  ['sendAlert done → sendingAudit', 1, callFollows, 'done'],
  ['sendAlert error → retryingAlert', 1, timerFollows, 'done'],
  ['sendAlert error → failed', 1, isFinal, 'failed'],
  ['after backoff → sendingAlert', 1, callFollows, 'done'],
  ['sendAudit done → done', 1, isFinal, 'done'],
  ['sendAudit error → retryingAudit', 1, timerFollows, 'done'],
  ['sendAudit error → failed', 1, isFinal, 'failed'],
  ['after backoff → sendingAudit', 1, callFollows, 'done'],
  ['cancel in sendingAlert → cancelled', 1, isFinal, 'cancelled'],
  ['cancel in retryingAlert → cancelled', 1, isFinal, 'cancelled'],
  ['cancel in sendingAudit → cancelled', 1, isFinal, 'cancelled'],
  ['cancel in retryingAudit → cancelled', 1, isFinal, 'cancelled'],
];

const faultsOf: Record<Venue['queue'], Fault[]> = {
  RabbitMQ: ['worker', 'connection', 'broker', 'receiver'],
  embedded: ['worker', 'receiver'],
};

describe.each([rabbit, embedded])('the cells of create-todo on $queue', (venue) => {
  const cells = cellsOf(venue, routes);
  const nameOf = (step: string, moment: Moment, fault: Fault) => `${step}, ${moment}, ${fault}`;

  test('are each step at each moment with each fault, where it can happen', () => {
    const possible = cells.filter(({ impossible }) => impossible === undefined);
    const wanted = expected.flatMap(([step, , moments]) =>
      moments.flatMap((moment) => faultsOf[venue.queue].map((fault) => nameOf(step, moment, fault))),
    );
    const found = possible.map(({ step, moment, fault }) => nameOf(step, moment, fault));
    expect(found.toSorted()).toEqual(wanted.toSorted());
  });

  test('are named with a reason where they cannot happen', () => {
    expect(cells).toHaveLength(expected.length * 7 * 4);
    expect(new Set(cells.map(cellName)).size).toBe(cells.length);
    const reasons = cells.flatMap(({ impossible }) => impossible ?? []);
    expect(new Set(reasons)).toEqual(
      new Set([
        ...['done', 'failed', 'cancelled'].flatMap((state) => [
          `${state} is final: nothing follows`,
          `${state} asks for no call`,
        ]),
        ...['sendingAlert', 'retryingAlert', 'sendingAudit', 'retryingAudit'].map(
          (state) => `${state} is not final: nothing is acked`,
        ),
        'retryingAlert asks for no call',
        'retryingAudit asks for no call',
        ...Object.values(venue.impossible),
      ]),
    );
  });
});

test('every transition of the chart is on a route, and each route has its end', () => {
  expect(unreached(machine, routes)).toEqual([]);
  const [cell] = cellsOf(rabbit, routes);
  expect(cell?.route.rows.map(({ event }) => event)).toEqual(['start', 'saveTodo done', 'makeAlert done']);
  const steps = new Map(cellsOf(rabbit, routes).map(({ step, route }) => [step, route]));
  expect(new Map([...steps].map(([step, { rows, end }]) => [step, [rows.length, end]]))).toEqual(
    new Map(expected.map(([step, transitions, , end]) => [step, [transitions, end]])),
  );
});
