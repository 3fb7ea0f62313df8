/** `npm run fuzz -- --inputs 100000 --seed 1`: hostile inputs for every target; exit 1 where one does harm. */
import { parseArgs } from 'node:util';
import { messageOf } from '../../src/engine/errors.ts';
import { targets } from './targets.ts';
import type { Target } from './target.ts';

const { values } = parseArgs({
  options: {
    inputs: { type: 'string', default: '100000' },
    seed: { type: 'string', default: String(Date.now() % 2 ** 31) },
    only: { type: 'string', default: '' },
  },
});
const seed = Number(values.seed);

/** In characters: an input may be a long one. */
const longestReport = 3_000;

const fuzz = async ({ name, share, open }: Target): Promise<number> => {
  const numRuns = Math.ceil(Number(values.inputs) * share);
  const { try: attempt, close } = await open();
  const before = performance.now();
  try {
    await attempt({ seed, numRuns });
  } finally {
    close();
  }
  const seconds = (performance.now() - before) / 1000;
  console.log(`${String(numRuns).padStart(7)}  ${seconds.toFixed(1).padStart(6)} s  ${name}`);
  return numRuns;
};

console.log(`seed ${seed}`);
let total = 0;
for (const target of targets.filter(({ name }) => name.includes(values.only))) {
  try {
    total += await fuzz(target);
  } catch (error) {
    console.error(`${target.name}: ${messageOf(error).slice(0, longestReport)}`);
    if (error instanceof Error) console.error(messageOf(error.cause).slice(0, longestReport));
    process.exitCode = 1;
  }
}
console.log(`${total} inputs, ${process.exitCode === 1 ? 'and some did harm' : 'none did harm'}`);
