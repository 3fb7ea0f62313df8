import fc from 'fast-check';
import { inspect } from 'node:util';
import { toAmqpError } from '../../src/amqp/error.ts';
import { parseAddress } from '../../src/amqp/url.ts';
import { openLog } from '../../src/cli/log.ts';
import { tableLines } from '../../src/cli/output/table.ts';
import { safe } from '../../src/cli/output/safe.ts';
import { basicAuth } from '../../src/effects/http-client.ts';
import { fakeIo } from '../harness/cli-fixture.ts';
import { hostileJson, hostileText, urlWithSecret } from './hostile.ts';
import { expectHarmless, expectNoSecret } from './oracle.ts';
import { target } from './target.ts';

/** However a URL is wrong, nothing of what is said or thrown has its password. */
export const urls = target('URLs with a password', 0.2, async () => ({
  input: fc.record({
    text: urlWithSecret,
    words: hostileText,
    code: fc.constantFrom(403, 404, 406, 'ECONNREFUSED', 'EPROTO', undefined),
  }),
  attempt: ({ text, words, code }) => {
    const thrown = [
      thrownBy(() => parseAddress(text)),
      thrownBy(() => URL.parse(text) && basicAuth(URL.parse(text)!)),
    ];
    for (const error of thrown) expectNoSecret(inspect(error, { depth: 6, showHidden: true }));
    if (thrown[0] !== undefined) return;
    const { name } = parseAddress(text);
    expectNoSecret(name);
    expectNoSecret(toAmqpError(Object.assign(new Error(words), { code }), name).message);
  },
}));

const thrownBy = (work: () => unknown): unknown => {
  try {
    work();
    return undefined;
  } catch (error) {
    return error;
  }
};

/** Whatever is logged, of senders, brokers and services: a line is a line, and no terminal obeys it. */
export const logLines = target('lines of the log', 0.04, async () => {
  await openLog({ logLevel: 'silent' }, fakeIo({ tty: true }).io); // loads what it needs
  return {
    input: fc.record({ tty: fc.boolean(), words: hostileText, error: hostileText, more: hostileJson }),
    attempt: async ({ tty, words, error, more }) => {
      const { io, err } = fakeIo({ tty });
      (await openLog({ logLevel: 'debug' }, io)).warn({ error, message: words, more }, words);
      if (err() === '') throw new Error('nothing was logged');
      expectHarmless(err());
      if (!tty && (JSON.parse(err()) as { msg: string }).msg.toWellFormed() !== words.toWellFormed())
        throw new Error('another text');
    },
  };
});

/** Whatever stands in a table, it is laid out in no time, and fits the terminal. */
export const tables = target('tables', 0.04, async () => ({
  input: fc.record({ cells: fc.array(hostileText, { minLength: 1, maxLength: 4 }), tty: fc.boolean() }),
  attempt: ({ cells, tty }) => {
    const { io } = fakeIo({ tty });
    const before = performance.now();
    const lines = tableLines(
      io,
      [{ head: 'ID' }, { head: 'TEXT', shrinks: true }],
      cells.map((text) => ['1', safe(text)]),
    );
    if (performance.now() - before > 2_000) throw new Error('the layout took more than 2 s');
    if (lines.length !== cells.length + 1) throw new Error('a row is not a line');
    for (const line of lines) expectHarmless(line);
  },
}));
