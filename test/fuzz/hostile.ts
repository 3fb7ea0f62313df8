/** What someone who means harm would write, and what they hope for. */
import fc from 'fast-check';

/** Stands in every password. It may appear nowhere. */
export const secret = 's3cret';

/** Follows every line break: a line that begins with it is one that somebody else has put there. */
export const forged = 'FORGED';

const sequences = [
  '\u001b[2J',
  '\u001b]0;title\u0007',
  '\u001b[31m',
  '\u009b2J',
  '\u0007',
  '\u007f',
  '\u0000',
  '\u202e',
  '\u2066',
  '\u200f',
  '\ufeff',
  '\u{e0041}',
  '\u2028',
  '\ud83d',
  `\n${forged}`,
  `\r${forged}`,
  `\r\n${forged}`,
  `\u2029${forged}`,
  `\u0085${forged}`,
];

const pieces = fc.oneof(
  fc.constantFrom(...sequences),
  fc.string({ unit: 'binary', maxLength: 12 }),
  fc.string({ unit: 'grapheme', maxLength: 12 }),
  fc.constantFrom('漢', '🙂', 'cafe\u0301', '__proto__', 'constructor', '%00', '"', '\\', "'", '{{', '$(x)'),
);

/** Text that would move a cursor, hide, turn round or end a line. Now and then a long one. */
export const hostileText: fc.Arbitrary<string> = fc.oneof(
  { weight: 40, arbitrary: fc.array(pieces, { maxLength: 8 }).map((parts) => parts.join('')) },
  {
    weight: 1,
    arbitrary: fc
      .tuple(fc.constantFrom('漢', '🙂', '\u0301', 'x', '\u001b[1m'), fc.integer({ min: 1_000, max: 20_000 }))
      .map(([part, times]) => part.repeat(times)),
  },
);

const fieldName = fc.constantFrom(
  'title',
  'notes',
  'key',
  '__proto__',
  'constructor',
  'prototype',
  'toJSON',
  '',
);

/** Not `Object.fromEntries` of JSON: `__proto__` has to stay a field like any other. */
const objectOf = (entries: [string, unknown][]): unknown =>
  JSON.parse(
    `{${entries.map(([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`).join(',')}}`,
  );

/** JSON of every kind, with the keys that lead into prototypes. */
export const hostileJson: fc.Arbitrary<unknown> = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.oneof(hostileText, fc.double(), fc.maxSafeInteger(), fc.boolean(), fc.constant(null)),
    fc.array(tie('value'), { maxLength: 4 }),
    fc.array(fc.tuple(fc.oneof(hostileText, fieldName), tie('value')), { maxLength: 4 }).map(objectOf),
  ),
})).value;

/** A JSON text as a sender writes it: whole, cut off, nested beyond reason, or no JSON at all. */
export const hostileJsonText: fc.Arbitrary<string> = fc.oneof(
  { weight: 6, arbitrary: hostileJson.map((value) => JSON.stringify(value)) },
  { weight: 3, arbitrary: hostileText.map((title) => JSON.stringify({ title })) },
  { weight: 1, arbitrary: hostileText },
  {
    weight: 1,
    arbitrary: fc
      .tuple(hostileJson, fc.nat())
      .map(([value, at]) => JSON.stringify(value).slice(0, at % (JSON.stringify(value).length + 1))),
  },
  {
    weight: 1,
    arbitrary: fc
      .tuple(fc.constantFrom('[', '{"a":', '{"title":[', '{"__proto__":'), fc.integer({ min: 1, max: 9_000 }))
      .map(([open, depth]) => open.repeat(depth)),
  },
  {
    weight: 1,
    arbitrary: fc
      .integer({ min: 1, max: 9_000 })
      .map((depth) => `{"title":${'['.repeat(depth)}${']'.repeat(depth)}}`),
  },
);

/** A URL with a password in it, right and wrong in every part. Nothing listens there. */
export const urlWithSecret: fc.Arbitrary<string> = fc
  .record({
    scheme: fc.constantFrom(
      'amqp://',
      'amqps://',
      'http://',
      'https://',
      'redis://',
      'amqp:/',
      'amqp//',
      '//',
    ),
    user: fc.constantFrom('', 'me', 'm%ff', 'a:b', 'jürg'),
    before: fc.constantFrom('', '%', '/', '#', '?', '@', ':', '\u001b[2J', ' '),
    host: fc.constantFrom('', '127.0.0.1', '[::1]', '[', 'host name', 'h\u0000st', 'x'.repeat(300)),
    port: fc.constantFrom('', ':1', ':99999', ':port', ':'),
    path: fc.constantFrom('', '/', '/%2F', '/a b', '/?heartbeat=often', '/audit?x=1#y'),
  })
  .map(
    ({ scheme, user, before, host, port, path }) =>
      `${scheme}${user}:${before}${secret}@${host}${port}${path}`,
  );

/** The same, with and without its scheme: only where a URL is asked for can one without be told from other text. */
export const halfUrlWithSecret: fc.Arbitrary<string> = fc
  .tuple(urlWithSecret, fc.boolean())
  .map(([url, isHalf]) => (isHalf ? url.replace(/^[a-z]*:?\/*/, '') : url));
