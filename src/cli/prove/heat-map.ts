/** The matrix as a picture: how long each cell took until everything was final. Readable in light and in dark. */
import { escape, picture, text } from '../output/svg.ts';
import { cellName, faults, moments } from './cells.ts';
import type { Cell, Fault, Moment } from './cells.ts';
import { totalOf } from './report.ts';
import type { Proof } from './report.ts';
import type { Outcome } from './run-cell.ts';

const momentKeys = Object.keys(moments) as Moment[];
const faultKeys = Object.keys(faults) as Fault[];

/** In px. */
const side = 15;
const gap = 2;
const groupGap = 10;
const labelWidth = 232;
const headHeight = 74;
const group = faultKeys.length * (side + gap) + groupGap;
const width = labelWidth + momentKeys.length * group + 8;

/** Up to so many seconds, from light to heavy. */
const heat = [
  { upTo: 1, name: 'a' },
  { upTo: 3, name: 'b' },
  { upTo: 10, name: 'c' },
  { upTo: Infinity, name: 'd' },
] as const;

const style = `
  .a { fill: #1a7f37 } .b { fill: #2da44e } .c { fill: #7cc68d } .d { fill: #b9dfc1 } .failed { fill: #cf222e }
  .impossible { fill: none; stroke: #8c959f; stroke-opacity: .35 } .dot { fill: #0d1117 }`;

export const heatMap = (proof: Proof): string => {
  const queues = [...new Set(proof.outcomes.map(({ cell }) => cell.venue.queue))];
  const panels = queues.map((queue) => panelOf(proof, queue));
  let y = 34;
  const body = panels.map(({ height, lines }) => {
    const placed = [`<g transform="translate(0 ${y})">`, ...lines, '</g>'];
    y += height;
    return placed.join('\n');
  });
  const { lost, phantom, doubled, repeats } = totalOf(proof.outcomes);
  const title = `${proof.machine}: ${proof.outcomes.length} cells, ${lost} lost, ${phantom} phantom, ${doubled} doubled, ${repeats} repeats`;
  return picture({ width, height: y + 50, title, style }, [...body, legend(y + 8)]);
};

const panelOf = (proof: Proof, queue: string): { height: number; lines: string[] } => {
  const cells = proof.cells.filter(({ venue }) => venue.queue === queue);
  const byCell = new Map(proof.outcomes.map((outcome) => [cellName(outcome.cell), outcome]));
  const steps = [...new Set(cells.map(({ step }) => step))];
  const rowOf = new Map(steps.map((step, index) => [step, headHeight + index * (side + gap)]));
  return {
    height: headHeight + steps.length * (side + gap) + 18,
    lines: [
      text(8, 24, queue === 'RabbitMQ' ? queue : 'embedded queue', 'head'),
      ...momentKeys.flatMap(momentHead),
      ...steps.map((step) => text(8, rowOf.get(step)! + side - 4, step)),
      ...cells.map((cell) => square(cell, rowOf.get(cell.step)!, byCell.get(cellName(cell)))),
    ],
  };
};

const momentHead = (moment: Moment): string[] => {
  const x = columnOf(moment, faultKeys[0]!);
  const lines = wrapped(moments[moment], 13);
  return [
    ...lines.map((line, row) => text(x, 20 + row * 11, line, 'small')),
    ...faultKeys.map((fault) => text(columnOf(moment, fault) + 4, headHeight - 4, fault[0]!, 'small')),
  ];
};

const columnOf = (moment: Moment, fault: Fault): number =>
  labelWidth + momentKeys.indexOf(moment) * group + faultKeys.indexOf(fault) * (side + gap);

const square = (cell: Cell, y: number, outcome: Outcome | undefined): string => {
  const x = columnOf(cell.moment, cell.fault);
  const told = outcome ? `${cellName(cell)}: ${factsOf(outcome)}` : (cell.impossible ?? 'not run');
  const rect = `<rect class="${classOf(outcome)}" x="${x + 0.5}" y="${y + 0.5}" width="${side - 1}" height="${side - 1}" rx="2"/>`;
  const dot =
    outcome && outcome.count.repeats > 0
      ? `<circle class="dot" cx="${x + side / 2}" cy="${y + side / 2}" r="2"/>`
      : '';
  return `<g><title>${escape(told)}</title>${rect}${dot}</g>`;
};

const classOf = (outcome: Outcome | undefined): string => {
  if (!outcome) return 'impossible';
  if (outcome.problems.length > 0 || outcome.seconds === undefined) return 'failed';
  return heat.find(({ upTo }) => outcome.seconds! <= upTo)!.name;
};

const factsOf = ({ count, seconds, problems }: Outcome): string =>
  problems[0]?.text ??
  `${count.lost} lost, ${count.phantom} phantom, ${count.doubled} doubled, ${count.repeats} repeats, final after ${seconds?.toFixed(1)} s`;

const legend = (y: number): string => {
  const entries = [
    ['a', 'final within 1 s'],
    ['b', 'within 3 s'],
    ['c', 'within 10 s'],
    ['d', 'longer'],
    ['failed', 'lost, phantom or doubled'],
    ['impossible', 'cannot happen'],
  ] as const;
  let x = 8;
  const keys = entries.map(([name, label]) => {
    const key = `<rect class="${name}" x="${x + 0.5}" y="${y + 0.5}" width="${side - 1}" height="${side - 1}" rx="2"/>${text(x + side + 4, y + 11, label, 'small')}`;
    x += side + 14 + label.length * 5.4;
    return key;
  });
  const signs = faultKeys.map((fault) => `${fault[0]}: ${faults[fault]}`).join(', ');
  const words = `dot: repeats under one key, which a receiver drops; ${signs}`;
  return [...keys, text(8, y + 32, words, 'small')].join('\n');
};

const wrapped = (content: string, length: number): string[] => {
  const lines: string[] = [];
  for (const word of content.split(' ')) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + word.length < length) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines;
};
