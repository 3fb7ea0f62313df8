import { expect, test } from 'vitest';
import { not, setup } from 'xstate';
import { z } from 'zod';
import { createTodo } from '../machines/create-todo.ts';
import { call } from './definition.ts';
import { drawing } from './drawing.ts';
import { toMachine } from './machine.ts';

const unused = { perform: () => Promise.resolve({}) };

test('the todo machine is drawn with every state and every way between them', () => {
  const { ref, states, transitions } = drawing(
    toMachine(createTodo({ sendAlert: unused, sendAudit: unused })),
  );
  expect(ref).toBe('create-todo@1');
  expect(states.map(({ name }) => name)).toEqual([
    'saving',
    'makingAlert',
    'sendingAlert',
    'retryingAlert',
    'sendingAudit',
    'retryingAudit',
    'done',
    'failed',
    'cancelled',
  ]);
  expect(states.filter(({ isInitial }) => isInitial).map(({ name }) => name)).toEqual(['saving']);
  expect(states.filter(({ isFinal }) => isFinal).map(({ name }) => name)).toEqual([
    'done',
    'failed',
    'cancelled',
  ]);
  expect(transitions.map(({ from, to, label }) => `${from} --${label}--> ${to}`)).toEqual([
    'null --cancel--> cancelled',
    'saving --saveTodo done--> makingAlert',
    'saving --saveTodo error--> failed',
    'makingAlert --makeAlert done--> sendingAlert',
    'makingAlert --makeAlert error--> failed',
    'sendingAlert --sendAlert done--> sendingAudit',
    'sendingAlert --sendAlert error [cannotSucceed]--> failed',
    'sendingAlert --sendAlert error--> retryingAlert',
    'retryingAlert --after backoff--> sendingAlert',
    'sendingAudit --sendAudit done--> done',
    'sendingAudit --sendAudit error [cannotSucceed]--> failed',
    'sendingAudit --sendAudit error--> retryingAudit',
    'retryingAudit --after backoff--> sendingAudit',
  ]);
});

test('nested states, always, numeric delays, guards without a name and transitions without a target are drawn', () => {
  const machine = setup({
    actors: { charge: call<void, void>() },
    guards: { isFree: () => false },
  }).createMachine({
    id: 'pay',
    version: '2',
    initial: 'checking',
    states: {
      checking: { always: [{ guard: 'isFree', target: 'done' }, { target: 'paying' }] },
      paying: {
        initial: 'charging',
        on: {
          wait: {},
          stop: [{ guard: () => true, target: 'done' }],
          halt: { guard: not('isFree'), target: 'done' },
        },
        onDone: 'done',
        states: {
          charging: { invoke: { src: 'charge', onDone: 'charged', onError: 'resting' } },
          resting: { after: { 500: 'charging' } },
          charged: { type: 'final' },
        },
      },
      done: { type: 'final' },
    },
  });
  const { states, transitions } = drawing(
    toMachine({ machine: machine as never, input: z.any(), remote: { charge: unused } }),
  );
  expect(states).toContainEqual({
    name: 'paying.charging',
    within: 'paying',
    isInitial: true,
    isFinal: false,
  });
  expect(states).toContainEqual({
    name: 'paying.charged',
    within: 'paying',
    isInitial: false,
    isFinal: true,
  });
  expect(transitions.map(({ from, to, label }) => `${from} --${label}--> ${to}`).toSorted()).toEqual([
    'checking --always [isFree]--> done',
    'checking --always--> paying',
    'paying --all done--> done',
    'paying --halt [guard]--> done',
    'paying --stop [guard]--> done',
    'paying --wait--> paying',
    'paying.charging --charge done--> paying.charged',
    'paying.charging --charge error--> paying.resting',
    'paying.resting --after 500 ms--> paying.charging',
  ]);
});
