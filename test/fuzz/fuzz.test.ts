import { expect, test } from 'vitest';
import { targets } from './targets.ts';

/** A seed that is the same each time: what a change breaks is found where it was made. `npm run fuzz` goes further. */
const seed = 1;
const inputs = 3_000;

test.each(targets.map((one) => [one.name, one] as const))(
  '%s do no harm',
  { timeout: 60_000 },
  async (_, target) => {
    const open = await target.open();
    try {
      await open.try({ seed, numRuns: Math.ceil(inputs * target.share) });
    } finally {
      open.close();
    }
  },
);

test('every input has a target', () => {
  expect(targets.reduce((sum, { share }) => sum + share, 0)).toBeCloseTo(1);
});
