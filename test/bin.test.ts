import { expect, onTestFinished, test, vi } from 'vitest';
import { holdfast, spawnHoldfast } from './harness/cli.ts';
import { tempDir } from './harness/tmp.ts';

test('the binary runs from any folder, and prints its version as data', async () => {
  const { code, signal, stdout, stderr } = await holdfast(['--version'], { cwd: tempDir() });
  expect({ code, signal, stderr }).toEqual({ code: 0, signal: null, stderr: '' });
  expect(stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
});

test('the binary passes on the exit code of its command', async () => {
  expect(await holdfast(['no-such-command'])).toMatchObject({ code: 2, stdout: '' });
});

test('the binary sees no HOLDFAST_ variable of the machine that runs the tests', async () => {
  vi.stubEnv('HOLDFAST_AUDIT_URL', 'http://127.0.0.1:9');
  onTestFinished(() => void vi.unstubAllEnvs());
  const { code, stderr } = await holdfast(['worker'], { cwd: tempDir(), timeout: 10_000 });
  expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringMatching(/audit/i) });
});

test('a line is waited for, and one that cannot come any more is told at once', async () => {
  const cli = spawnHoldfast(['--version']);
  const [line] = await cli.waitForLine(/^\d+\.\d+\.\d+$/);
  expect(cli.stdout).toBe(`${line}\n`);
  await expect(cli.waitForLine(/never/)).rejects.toThrow(
    'holdfast ended with 0 before a line matched /never/',
  );
});
