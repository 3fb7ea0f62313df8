import { Command } from 'commander';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { readSettings, withSettings } from './settings.ts';

afterEach(() => vi.unstubAllEnvs());

const verifyWith = (...args: string[]): boolean => {
  const command = withSettings(new Command('x'), ['auditVerify']);
  command.parse(['node', 'x', ...args]);
  return readSettings(command).auditVerify;
};

describe('--audit-verify', () => {
  test('is off, and on where it is given', () => {
    expect(verifyWith()).toBe(false);
    expect(verifyWith('--audit-verify')).toBe(true);
    expect(verifyWith('--audit-verify', 'no')).toBe(false);
  });

  // commander takes any value of a variable for true, where the option takes none.
  test.each([
    ['true', true],
    ['1', true],
    ['false', false],
    ['0', false],
  ])('in the environment may be %j', (value, on) => {
    vi.stubEnv('HOLDFAST_AUDIT_VERIFY', value);
    expect(verifyWith()).toBe(on);
  });

  test('is nothing but true or false', () => {
    expect(() => verifyWith('--audit-verify', 'perhaps')).toThrow(
      '--audit-verify (or HOLDFAST_AUDIT_VERIFY) is neither true nor false',
    );
  });
});
