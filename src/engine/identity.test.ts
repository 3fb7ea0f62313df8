import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { callKey, difference, fingerprint, keyProblem } from './identity.ts';

describe('a key', () => {
  test.each(['k', 'order-4711', 'bestellung-ü', '订单', '🙂', 'a b/c"d', 'k'.repeat(255), 'ü'.repeat(127)])(
    'may be %j',
    (key) => expect(keyProblem(key)).toBeUndefined(),
  );

  test.each([
    ['', 'is empty'],
    ['k'.repeat(256), 'is longer than 255 bytes'],
    ['ü'.repeat(128), 'is longer than 255 bytes'],
    ['a\nb', 'has control characters'],
    ['a\u0000', 'has control characters'],
    ['a\u007f', 'has control characters'],
    ['a\u0085', 'has control characters'],
    ['a\ud83d', 'has half a character (a lone surrogate)'],
  ])('may not be %j', (key, problem) => expect(keyProblem(key)).toBe(`the key ${problem}`));
});

describe('the key of a call', () => {
  const runId = fc
    .string({ unit: 'grapheme', minLength: 1, maxLength: 255 })
    .filter((id) => keyProblem(id) === undefined);

  test('reads as the run and the call', () => {
    expect(callKey('order-4711', 'sendAlert')).toBe('order-4711/sendAlert');
  });

  test('never exceeds the 255 bytes of a message id, and is the same every time', () => {
    fc.assert(
      fc.property(runId, (id) => {
        const key = callKey(id, 'sendAlert');
        expect(Buffer.byteLength(key)).toBeLessThanOrEqual(255);
        expect(callKey(id, 'sendAlert')).toBe(key);
      }),
      {
        endOnFailure: true,
        examples: [['k'.repeat(245)], ['k'.repeat(246)], ['k'.repeat(255)], ['ü'.repeat(127)]],
      },
    );
  });

  test('differs for different runs, and for different calls of a run', () => {
    const long = 'k'.repeat(254);
    const ids = ['a', 'b', `${long}a`, `${long}b`, 'k'.repeat(245), 'k'.repeat(246)];
    const keys = ids.flatMap((id) => ['sendAlert', 'sendAudit'].map((call) => callKey(id, call)));
    expect(new Set(keys).size).toBe(keys.length);
  });
});

describe('a fingerprint', () => {
  test('does not depend on the order of the fields', () => {
    const one = { title: 'Buy milk', more: { a: 1, b: [{ c: 2, d: 3 }] } };
    const other = { more: { b: [{ d: 3, c: 2 }], a: 1 }, title: 'Buy milk' };
    expect(fingerprint('m', one)).toBe(fingerprint('m', other));
  });

  test.each([
    ['another value', 'm', { title: 'Buy bread' }],
    ['a field more', 'm', { title: 'Buy milk', notes: 'oat' }],
    ['another type', 'm', { title: ['Buy milk'] }],
    ['another machine', 'n', { title: 'Buy milk' }],
  ])('is another one for %s', (_, machine, input) => {
    expect(fingerprint(machine, input)).not.toBe(fingerprint('m', { title: 'Buy milk' }));
  });

  test('depends on the order of a list', () => {
    expect(fingerprint('m', [1, 2])).not.toBe(fingerprint('m', [2, 1]));
  });
});

describe('a difference', () => {
  test('names each field, with what is known and what was sent', () => {
    expect(difference({ title: 'milk', notes: 'oat', n: 1 }, { n: 1, title: 'bread' })).toBe(
      'title: "milk" is known, "bread" was sent; notes: "oat" is known, nothing was sent',
    );
  });

  test('of inputs that are no objects is one of the whole input', () => {
    expect(difference(1, 2)).toBe('input: 1 is known, 2 was sent');
    expect(difference(null, 'x')).toBe('input: null is known, "x" was sent');
  });

  test('shows no more than the beginning of a long value', () => {
    expect(difference({ a: 'x'.repeat(1000) }, {})).toBe(`a: "${'x'.repeat(78)}… is known, nothing was sent`);
  });

  test('of equal inputs is empty, whatever the order of their fields', () => {
    expect(difference({ a: { b: 1, c: 2 }, d: 3 }, { d: 3, a: { c: 2, b: 1 } })).toBe('');
  });
});

test('the key of a call with a very long name fits as well', () => {
  expect(Buffer.byteLength(callKey('k', 'x'.repeat(300)))).toBeLessThanOrEqual(255);
});
