import { printTimeline } from '../src/cli/output/run.ts';
import type { SoakOptions, SoakResult } from './soak.ts';

/** So many ids of each kind are shown. */
const shownIds = 20;

export const report = (result: SoakResult, options: SoakOptions, output: 'table' | 'json'): void => {
  if (output === 'json') return print(JSON.stringify({ ...figuresOf(result), options }, null, 2));
  for (const line of linesOf(result, options)) print(line);
  for (const kind of ['lost', 'phantom', 'doubled'] as const) {
    const ids = result[kind];
    if (ids.length > 0)
      print(`${kind.padEnd(9)} ${ids.slice(0, shownIds).join(' ')}${ids.length > shownIds ? ' …' : ''}`);
  }
  if (!result.story) return undefined;
  print(`\nTimeline of ${result.story.id}`);
  printTimeline({ out: process.stdout } as never, result.story.history, result.story.marks);
  return undefined;
};

const figuresOf = ({ lost, phantom, doubled, ended, story, ...figures }: SoakResult) => ({
  ...figures,
  wrong: {
    lost: lost.slice(0, shownIds),
    phantom: phantom.slice(0, shownIds),
    doubled: doubled.slice(0, shownIds),
  },
  workersThatEnded: ended.length,
  ...(story && { story }),
});

const linesOf = (result: SoakResult, { queue, workers, seed, minutes, rate }: SoakOptions): string[] => {
  const { tally, faults, toFinal } = result;
  const place =
    queue === 'amqp' ? 'a RabbitMQ of its own' : queue === 'embedded' ? 'the embedded queue' : 'RabbitMQ';
  return [
    `Soak      ${minutes} min on ${place}, ${workers} workers, seed ${seed}`,
    `Load      ${whole(result.perSecond)} todos/s of ${whole(rate)}, held back ${percent(result.heldBack)} of the time; ${whole(result.refusals)} refused or in doubt, submitted again`,
    `Faults    workers killed ${faults.kill}, stopped ${faults.pause}; broker killed ${faults.broker}; audit receiver away ${faults.receiver}; disk full ${faults.disk}`,
    ...result.impossible.map((reason) => `Not here  ${reason}`),
    ...(result.ended.length > 0
      ? [`Ended     workers by themselves ${result.ended.length}, the last: ${result.ended.at(-1)}`]
      : []),
    `Backlog   at most ${whole(result.peakBacklog)}; submitted to final: p50 ${toFinal.p50.toFixed(2)} s, p99 ${toFinal.p99.toFixed(2)} s, worst ${toFinal.worst.toFixed(2)} s`,
    `Counted   ${whole(tally.accepted)} accepted, ${whole(tally.todos)} todos, ${whole(tally.alerts)} alerts, ${whole(tally.audits)} audits`,
    `Tally     ${tally.lost} lost, ${tally.phantom} phantom, ${tally.doubled} doubled; ${whole(tally.repeats)} repeats under their own key`,
    `Memory    of this process at most ${whole(result.peakMemory)} MiB`,
  ];
};

const whole = (value: number): string => Math.round(value).toLocaleString('en');

const percent = (part: number): string => `${(100 * part).toFixed(0)} %`;

const print = (line: string): void => void process.stdout.write(`${line}\n`);
