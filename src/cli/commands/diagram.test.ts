import { expect, test } from 'vitest';
import { cli, fakeIo } from '../../../test/harness/cli-fixture.ts';
import type { Drawing } from '../../engine/drawing.ts';
import { createTodo } from '../../machines/create-todo.ts';
import { createRegistry } from '../../machines/registry.ts';
import { drawAscii } from '../output/draw-ascii.ts';
import { drawMermaid } from '../output/draw-mermaid.ts';
import { drawDot } from '../output/draw-svg.ts';
import { diagram } from './diagram.ts';

const nested: Drawing = {
  ref: 'pay@1',
  states: [
    { name: 'paying', within: null, isInitial: true, isFinal: false },
    { name: 'paying.charging', within: 'paying', isInitial: true, isFinal: false },
    { name: 'paying.at-rest', within: 'paying', isInitial: false, isFinal: false },
    { name: 'done', within: null, isInitial: false, isFinal: true },
  ],
  transitions: [
    { from: null, to: 'done', label: 'cancel' },
    { from: 'paying', to: 'done', label: 'stop: "now"' },
    { from: 'paying.charging', to: 'paying.at-rest', label: 'charge error' },
  ],
};

test('piped, a machine is Mermaid text', async () => {
  const { code, out } = await cli(['diagram']);
  expect(code).toBe(0);
  expect(out).toContain('title: create-todo@1\n---\nstateDiagram-v2\n  saving\n  [*] --> saving\n');
  expect(out).toContain('  sendingAlert --> failed : sendAlert error [cannotSucceed]\n');
  expect(out).toContain('  done --> [*]\n');
  expect(out.match(/: cancel\n/g)).toHaveLength(1);
});

test('on a terminal it is drawn with every state and every transition once, within 80 columns', async () => {
  const { out } = await cli(['diagram', 'create-todo'], { tty: true });
  expect(out).toContain('│ sendAlert done\n▼\n');
  expect(out).toContain(
    '│ sendingAudit  │─ sendAudit error [cannotSucceed] → failed\n│               │─ sendAudit error → retryingAudit\n',
  );
  expect(out).toContain('║ done          ║\n');
  expect(out).toContain('any state ─ cancel → cancelled');
  expect(out.match(/after backoff/g)).toHaveLength(2);
  for (const line of out.split('\n')) expect(line.length).toBeLessThanOrEqual(80);
});

test('as SVG it is one document, laid out by Graphviz', async () => {
  const { out } = await cli(['diagram', 'create-todo@1', '--format', 'svg']);
  expect(out).toMatch(/^<\?xml[^]*<svg[^]*retryingAudit[^]*<\/svg>\n$/);
});

test('nested states and names with marks in them are drawn in each format', () => {
  expect(drawMermaid(nested)).toContain(
    '  state paying {\n    state "charging" as paying_charging\n    [*] --> paying_charging\n    state "at-rest" as paying_at_rest\n  }',
  );
  expect(drawMermaid(nested)).toContain('paying --> done : stop#58; #34;now#34;');
  expect(drawAscii(nested)).toContain(
    '│ paying.charging │─ stop: "now" → done\n└─────────────────┘\n│ charge error\n▼\n┌─────────────────┐\n│ paying.at-rest  │',
  );
  expect(drawDot(nested)).toContain(
    '"paying.charging" -> "done" [label="stop: \\"now\\"", ltail="cluster_paying"]',
  );
});

test('a machine that is not there is not found, with those that are', async () => {
  expect(await cli(['diagram', 'create-tod\u001bo'])).toMatchObject({
    code: 4,
    out: '',
    err: expect.stringContaining('there is create-todo@1'),
  });
});

test('where there are several machines, one has to be named', async () => {
  const another = createTodo({
    sendAlert: { perform: async () => ({}) },
    sendAudit: { perform: async () => ({}) },
  });
  const registry = createRegistry([
    another,
    { ...another, machine: Object.assign(Object.create(another.machine), { version: '2' }) },
  ]);
  await expect(diagram({ registry, io: fakeIo().io }, undefined, {})).rejects.toMatchObject({
    exitCode: 2,
    message: expect.stringContaining('create-todo@1, create-todo@2'),
  });
});
