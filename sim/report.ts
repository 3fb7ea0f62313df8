import { whole } from '../bench/table.ts';
import type { Failure } from './batch.ts';
import type { Sum } from './simulation.ts';

/** How many lines of a timeline are shown. */
const shownAtEachEnd = 100;

/** `12,500 histories, 105,000 transitions; 2,310 histories/s, 19,400 transitions/s` */
export const progressLine = ({ histories, transitions, elapsed }: Sum): string => {
  const perSecond = (count: number) => whole((count / elapsed) * 1000);
  return (
    `${whole(histories)} histories, ${whole(transitions)} transitions; ` +
    `${perSecond(histories)} histories/s, ${perSecond(transitions)} transitions/s`
  );
};

/** `1,204 done, 103 failed, 41 cancelled` */
export const countsLine = (counts: Readonly<Record<string, number>>): string =>
  Object.entries(counts)
    .map(([what, count]) => `${whole(count)} ${what}`)
    .join(', ');

/** What broke, how, and how to see it again. */
export const failureLines = ({ seed, path, after, scenario, violations, lines }: Failure): string[] => [
  `A promise was broken by seed ${seed} after ${whole(after)} histories:`,
  ...violations.map((violation) => `  ${violation}`),
  '',
  'The shortest history that still breaks it, in ms:',
  ...ends(lines).map(timelineRow),
  '',
  `Its scenario: ${JSON.stringify(scenario)}`,
  `Again: npm run simulate -- --seed ${seed} --path ${path}`,
];

/** A worker that goes round in circles writes a long journal. */
const ends = (lines: readonly string[]): readonly string[] =>
  lines.length <= 2 * shownAtEachEnd
    ? lines
    : [
        ...lines.slice(0, shownAtEachEnd),
        `…\t\t${whole(lines.length - 2 * shownAtEachEnd)} lines more`,
        ...lines.slice(-shownAtEachEnd),
      ];

const timelineRow = (line: string): string => {
  const [at = '', who = '', what = ''] = line.split('\t');
  return `${at.padStart(8)}  ${who.padEnd(8)}  ${what}`;
};
