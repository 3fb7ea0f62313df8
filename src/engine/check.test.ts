import { and, assign, emit, enqueueActions, not, raise, setup } from 'xstate';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { neverCalled } from '../../test/harness/engine.ts';
import { createRegistry } from '../machines/registry.ts';
import { call } from './definition.ts';
import type { Definition } from './definition.ts';
import { MachineError, toMachine } from './machine.ts';

const options = {
  actors: { work: call<void, void>(), rest: call<void, void>() },
  actions: {
    note: assign({}),
    shout: emit({ type: 'shouted' }),
    queue: enqueueActions(() => {}),
    print: () => {},
  },
  guards: { isLate: () => true },
  delays: { backoff: 10 },
};

/** A sound machine, with one thing in it changed: XState itself takes every one of them. */
const definition = (states: object, details: object = {}, rest: Partial<Definition> = {}): Definition => ({
  machine: setup(options as never).createMachine({
    id: 'sample',
    version: '1',
    initial: 'working',
    states: { done: { type: 'final' }, failed: { type: 'final' }, ...states },
    ...details,
  } as never) as unknown as Definition['machine'],
  input: z.unknown(),
  remote: { work: neverCalled, rest: neverCalled },
  ...rest,
});

const working = (changes: object = {}) => ({
  invoke: { src: 'work', onDone: 'done', onError: 'failed' },
  ...changes,
});

describe('a machine is registered', () => {
  test('when it is sound', () => {
    expect(toMachine(definition({ working: working() })).ref).toBe('sample@1');
  });

  test('with pure actions, known guards and known delays', () => {
    const sound = definition({
      working: working({
        entry: ['note', assign({})],
        after: { backoff: { target: 'failed', guard: 'isLate' }, 500: 'failed' },
      }),
    });
    expect(() => toMachine(sound)).not.toThrow();
  });

  test('with delayed events that have an id, and a state that is left by what it raises', () => {
    const sound = definition({
      working: {
        entry: [
          raise({ type: 'late' }, { id: 'late', delay: 'backoff' as never }),
          raise({ type: 'x' }, { id: 'x', delay: 9 }),
        ],
        on: { late: 'done' },
      },
    });
    expect(() => toMachine(sound)).not.toThrow();
  });
});

describe('a machine is refused, by state and with the fix,', () => {
  test.each<[string, Definition, RegExp]>([
    [
      'for a misspelt delay',
      definition({ working: working({ after: { backof: 'failed' } }) }),
      /state "working": the delay "backof" does not exist; did you mean "backoff"\?/,
    ],
    [
      'for a call that nobody performs',
      definition({ working: { invoke: { src: 'wrok', onDone: 'done' } } }),
      /state "working": it invokes "wrok", which is neither a local nor a remote call/,
    ],
    [
      'for a call that is local and remote',
      definition({ working: working() }, {}, { local: { work: () => ({}) } }),
      /state "working": "work" is both a local and a remote call/,
    ],
    [
      'for a call with an address',
      definition({ working: { invoke: { src: 'work', systemId: 'mailer', onDone: 'done' } } }),
      /state "working": its invoke has the systemId "mailer": leave it out/,
    ],
    [
      'for an unknown action',
      definition({ working: working({ entry: 'noted' }) }),
      /state "working": the action "noted" does not exist; did you mean "note"\?/,
    ],
    [
      'for a custom action',
      definition({ working: working({ exit: 'print' }) }),
      /state "working": the action "print" would not survive a crash: make it an invoke/,
    ],
    [
      'for an inline action',
      definition({ working: working({ entry: () => {} }) }),
      /the action "inline function" would not survive a crash/,
    ],
    [
      'for an emit',
      definition({ working: working({ entry: 'shout' }) }),
      /the action "shout" would not survive a crash/,
    ],
    [
      'for enqueued actions',
      definition({ working: working({ entry: 'queue' }) }),
      /the action "queue" would not survive a crash/,
    ],
    [
      'for an action of a transition',
      definition({ working: { invoke: { src: 'work', onDone: { target: 'done', actions: 'print' } } } }),
      /state "working": the action "print" would not survive/,
    ],
    [
      'for an unknown guard',
      definition({ working: working({ after: { 10: { target: 'failed', guard: 'isLat' } } }) }),
      /state "working": the guard "isLat" does not exist; did you mean "isLate"\?/,
    ],
    [
      'for an unknown guard within others',
      definition({
        working: working({ always: { guard: and([not('isLat'), 'isLate']), target: 'failed' } }),
      }),
      /state "working": the guard "isLat" does not exist; did you mean "isLate"\?/,
    ],
    [
      'for an action on the way to its first state',
      definition({ working: working() }, { initial: { target: 'working', actions: 'print' } }),
      /the machine: the action "print" would not survive a crash/,
    ],
    [
      'for a delayed event without an id',
      definition({ working: working({ entry: raise({ type: 'late' }, { delay: 10 }) }) }),
      /state "working": it raises "late" later, without an id: add one/,
    ],
    [
      'for the misspelt delay of an event',
      definition({
        working: working({ entry: raise({ type: 'late' }, { id: 'late', delay: 'backof' as never }) }),
      }),
      /state "working": the delay "backof" does not exist; did you mean "backoff"\?/,
    ],
    [
      'for a state that only an event from nowhere leaves',
      definition({ working: working({ after: { 10: 'stuck' } }), stuck: { on: { approve: 'done' } } }),
      /state "stuck": no final state can be reached from here by its calls, its timers and what it raises/,
    ],
    [
      'for being parallel at the root',
      definition({ one: working() }, { type: 'parallel', initial: undefined }),
      /it is parallel itself: put that into a state/,
    ],
    [
      'for two calls under one key',
      definition({ working: { invoke: { src: 'work', onDone: 'again' } }, again: working() }),
      /state "again": its call "work" has the same key as the one in state "working": give each invoke an id/,
    ],
    [
      'for a dead end',
      definition({ working: working({ after: { 10: 'stuck' } }), stuck: { after: { 10: 'stuck' } } }),
      /state "stuck": no final state can be reached/,
    ],
    [
      'for a dead end that only a cancel leaves',
      definition({ working: working({ after: { 10: 'stuck' } }), stuck: {} }, { on: { cancel: '.failed' } }),
      /state "stuck": no final state can be reached/,
    ],
    [
      'for a missing version',
      definition({ working: working() }, { version: undefined }),
      /it has no version/,
    ],
    [
      'for an id that is no routing key',
      definition({ working: working() }, { id: 'My Machine' }),
      /the id "My Machine" must be small letters/,
    ],
    [
      'for a nested initial state that does not exist',
      definition({ working: working({ initial: 'one', states: { on: {} } }) }),
      /state "working": its initial state "one" does not exist/,
    ],
  ])('%s', (_, bad, problem) => {
    expect(() => toMachine(bad)).toThrow(MachineError);
    expect(() => toMachine(bad)).toThrow(problem);
  });

  test('and every problem is named at once', () => {
    const bad = definition({ working: working({ entry: 'print', after: { backof: 'failed' } }) });
    expect(() => toMachine(bad)).toThrow(/backof[\s\S]*print/);
  });
});

describe('a registry', () => {
  const versioned = (version: string) => definition({ working: working() }, { version });

  test('keeps versions side by side, and knows the newest by bare id', () => {
    const registry = createRegistry([versioned('1'), versioned('2')]);
    expect(registry.get('sample@1')?.version).toBe('1');
    expect(registry.resolve('sample')?.version).toBe('2');
    expect(registry.resolve('sample@3')).toBeUndefined();
  });

  test('refuses one reference twice', () => {
    expect(() => createRegistry([versioned('1'), versioned('1')])).toThrow(/sample@1 is registered twice/);
  });
});
