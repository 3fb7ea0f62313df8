/** The prover: some of its cells, for real, and faults planted into the worker that it must find. */
import path from 'node:path';
import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import { describe, expect, inject, onTestFinished, test, vi } from 'vitest';
import { openCatalogue } from '../src/cli/compose.ts';
import { prove } from '../src/cli/prove/prove.ts';
import type { proofAsData } from '../src/cli/prove/report.ts';
import { startAuditReceiver } from '../src/cli/receiver.ts';
import { readSettings } from '../src/cli/settings.ts';
import { cli, fakeIo } from './harness/cli-fixture.ts';
import { away } from './harness/ends.ts';
import { tempDir } from './harness/tmp.ts';

const queues = { embedded: 'embedded', RabbitMQ: inject('amqpUrl') };

const proveJson = async (...args: string[]) => {
  const { code, out, err } = await cli(['prove', '-o', 'json', ...args]);
  return { code, err, ...(JSON.parse(out) as ReturnType<typeof proofAsData>) };
};

describe.each(Object.entries(queues))('on %s', { timeout: 60_000 }, (name, queue) => {
  test('a worker is killed with a call in flight, and nothing is lost, phantom or doubled', async () => {
    const svg = path.join(tempDir(), 'prove.svg');
    const only = ['--only', 'sendAlert done', 'during the call'];
    const proof = await proveJson('--queue', queue, '--svg', svg, ...only);
    expect(proof.cells.filter((cell) => 'problems' in cell && cell.problems.length > 0)).toEqual([]);
    const cells = name === 'embedded' ? 2 : 3;
    expect(proof).toMatchObject({ code: 0, err: '', total: { cells, lost: 0, phantom: 0, doubled: 0 } });
    const count = { accepted: 3, todos: 3, alerts: 3, audits: 3 };
    const step = 'sendAlert done → sendingAudit';
    expect(proof.cells.find(({ fault }) => fault === 'worker')).toMatchObject({ step, ...count });
    expect(proof.cells.find(({ fault }) => fault === 'broker')).toMatchObject({
      impossible: name === 'embedded' ? 'the embedded queue has no broker' : 'the broker is not ours to kill',
    });
    expect(readFileSync(svg, 'utf8')).toMatch(/^<svg [^]*create-todo@1: [^]*<\/svg>\n$/);
  });

  test('a cancelled run stays cancelled when its worker dies before it acked', async () => {
    const only = ['--only', 'cancel in sendingAudit', 'before the ack', 'worker killed'];
    const { code, total } = await proveJson('--queue', queue, ...only);
    expect({ code, total }).toMatchObject({
      code: 0,
      total: { cells: 1, accepted: 3, todos: 3, alerts: 3, audits: 3, lost: 0, phantom: 0 },
    });
  });
});

test(
  'a broker of the prover’s own is killed and started again, with an alert in its hands',
  { timeout: 90_000 },
  async () => {
    const only = ['--only', 'RabbitMQ', 'start → sendingAlert', 'during the call', 'broker killed'];
    const { code, total } = await proveJson(...only);
    expect({ code, total }).toMatchObject({ code: 0, total: { cells: 1, lost: 0, phantom: 0, doubled: 0 } });
  },
);

test('a machine of one’s own: its effects are counted where they are made', async () => {
  const mail = await startAuditReceiver();
  onTestFinished(() => mail.close());
  vi.stubEnv('MAIL_URL', mail.url.href);
  onTestFinished(() => void vi.unstubAllEnvs());
  const file = path.join(import.meta.dirname, '../examples/welcome.ts');
  const given = ['welcome', '--machines', file, '--input', '{"email":"ada@example.com"}'];
  const only = ['--only', 'start → mailing', 'after the effect'];
  const { code, total, cells } = await proveJson(...given, '--queue', 'embedded', ...only);
  expect({ code, total }).toMatchObject({
    code: 0,
    total: { cells: 1, accepted: 3, todos: 0, alerts: 0, audits: 0, others: 3, lost: 0, doubled: 0 },
  });
  expect(total.repeats).toBeGreaterThan(0);
  expect(mail.received.size).toBe(1 + 3); // a run to which nothing was done, and those of the cell
  expect(cells.find(({ fault }) => fault === 'receiver')).toMatchObject({
    impossible: 'welcome@1 sends nothing to the audit receiver',
  });
});

describe('what a machine needs is not there: nothing is proved, and nothing is called lost', () => {
  const proveWelcome = (url?: string, ...more: string[]) => {
    vi.stubEnv('MAIL_URL', url);
    onTestFinished(() => void vi.unstubAllEnvs());
    const file = path.join(import.meta.dirname, '../examples/welcome.ts');
    const given = ['welcome', '--machines', file, '--input', '{"email":"ada@example.com"}'];
    return cli(['prove', ...given, '--queue', 'embedded', '--only', 'start → mailing', ...more]);
  };

  test('its run fails, and its reason is told', async () => {
    expect(await proveWelcome()).toEqual({
      code: 69,
      out: '',
      err: expect.stringMatching(
        /nothing was proved: welcome@1 does not come to "done" .* its run is failed: no mail service: set MAIL_URL.*\n.*see to what it needs/,
      ),
    });
  });

  test('its run never ends, and its last error is told', async () => {
    const mail = await startAuditReceiver({ onEntry: () => Promise.reject(away()) });
    onTestFinished(() => mail.close());
    const { code, err } = await proveWelcome(mail.url.href, '--patience', '3s');
    expect([code, err]).toEqual([
      69,
      expect.stringMatching(/its run is still (mailing|retryingMail): the mail service answered HTTP 503/),
    ]);
  });
});

type Planted = [program: string, only: string[], word: string];

const planted: Planted[] = [
  ['ack-early-program.ts', ['start → sendingAlert', 'before the commit', 'worker killed'], 'lost'],
  ['call-early-program.ts', ['start → sendingAlert', 'after the effect', 'worker killed'], 'phantom'],
  ['key-per-attempt-program.ts', ['sendAlert done', 'after the effect', 'worker killed'], 'doubled'],
];

describe.each(Object.entries(queues))('a fault in the worker is found on %s', (_, queue) => {
  test.each(planted)('%s', { timeout: 60_000 }, async (program, only, word) => {
    const { io, out } = fakeIo();
    const settings = readSettings(new Command());
    const registry = await openCatalogue(settings);
    const code = await prove({
      io,
      settings: { ...settings, queue },
      registry,
      machine: registry.machines[0]!,
      input: { title: 'Prove it' },
      program: path.join(import.meta.dirname, 'planted', program),
      queue,
      only,
      jobs: 1,
      patience: 8000,
      output: 'table',
      svg: undefined,
      list: false,
    });
    expect(code).toBe(1);
    expect(out()).toMatch(new RegExp(`${word}: .*[^]*Timeline of [^]*${only[2]}`));
    expect(out()).toMatch(new RegExp(`[1-9] ${word}`));
  });
});
