/** Figures as pictures: the median, and a line from the least to the most of the rounds. */
import { escape, picture, text } from '../src/cli/output/svg.ts';
import type { Spread } from './stats.ts';

/** What is drawn in one place. Its lines begin at 0, 0. */
type Panel = { readonly height: number; readonly lines: readonly string[] };

export type Bar = {
  readonly label: string;
  readonly value: Spread;
  /** What is not Holdfast is grey. */
  readonly isOurs: boolean;
};

/** A figure at one size. */
export type Point = { readonly x: number; readonly label: string; readonly value: Spread };

type Format = (value: number) => string;

/** In px. */
const width = 760;
const labelWidth = 240;
const valueWidth = 130;
const rowHeight = 22;
const barWidth = width - labelWidth - valueWidth - 16;
const curveHeight = 84;
const curveWidth = width / 2 - 90;

const style = `
  .ours { fill: #2da44e } .other { fill: #8c959f } .whisker { stroke: #24292f; stroke-width: 1.5 }
  .axis { stroke: #8c959f; stroke-opacity: .5 } .curve { fill: none; stroke: #2da44e; stroke-width: 2 }
  @media (prefers-color-scheme: dark) { .whisker { stroke: #e6edf3 } }`;

export const plot = (title: string, panels: readonly Panel[]): string => {
  let y = 36;
  const placed = panels.map(({ height, lines }) => {
    const group = [`<g transform="translate(0 ${y})">`, ...lines, '</g>'].join('\n');
    y += height + 14;
    return group;
  });
  return picture({ width, height: y, title, style }, placed);
};

export const bars = (head: string, rows: readonly Bar[], format: Format): Panel => {
  const most = Math.max(...rows.map(({ value }) => value.max));
  const x = (value: number) => labelWidth + (barWidth * value) / most;
  return {
    height: 20 + rows.length * rowHeight,
    lines: [
      text(8, 10, head, 'head'),
      ...rows.map(({ label, value, isOurs }, index) => {
        const top = 20 + index * rowHeight;
        const told = `${label}: ${format(value.median)} (${format(value.min)} to ${format(value.max)})`;
        return [
          `<g><title>${escape(told)}</title>`,
          text(8, top + 13, label),
          `<rect class="${isOurs ? 'ours' : 'other'}" x="${labelWidth}" y="${top + 2}" width="${px(x(value.median) - labelWidth)}" height="14" rx="2"/>`,
          whisker(x(value.min), top + 9, x(value.max), top + 9),
          text(width - valueWidth, top + 13, format(value.median)),
          '</g>',
        ].join('');
      }),
    ],
  };
};

/** Two curves beside each other. The x axis is logarithmic, the y axis begins at 0. */
export const curves = (
  pair: readonly { readonly head: string; readonly points: readonly Point[]; readonly format: Format }[],
): Panel => ({
  height: curveHeight + 44,
  lines: pair.flatMap(({ head, points, format }, index) => [
    `<g transform="translate(${(index * width) / 2} 0)">`,
    ...curve(head, points, format),
    '</g>',
  ]),
});

const curve = (head: string, points: readonly Point[], format: Format): string[] => {
  const most = Math.max(...points.map(({ value }) => value.max));
  const [first, last] = [points[0]!.x, points.at(-1)!.x].map(Math.log10) as [number, number];
  const x = (value: number) => 70 + (curveWidth * (Math.log10(value) - first)) / (last - first || 1);
  const y = (value: number) => 20 + curveHeight * (1 - value / (most || 1));
  const path = points.map(({ x: at, value }) => `${px(x(at))},${px(y(value.median))}`).join(' ');
  return [
    text(8, 10, head, 'head'),
    `<line class="axis" x1="70" y1="${y(0)}" x2="${70 + curveWidth}" y2="${y(0)}"/>`,
    text(8, y(most) + 4, format(most), 'small'),
    text(8, y(0) + 4, '0', 'small'),
    `<polyline class="curve" points="${path}"/>`,
    ...points.flatMap(({ x: at, label, value }) => [
      `<g><title>${escape(`${label}: ${format(value.median)}`)}</title>`,
      `<circle class="ours" cx="${px(x(at))}" cy="${px(y(value.median))}" r="3"/>`,
      `${whisker(x(at), y(value.min), x(at), y(value.max))}</g>`,
      text(x(at) - 8, y(0) + 14, label, 'small'),
    ]),
  ];
};

const whisker = (x1: number, y1: number, x2: number, y2: number): string =>
  `<line class="whisker" x1="${px(x1)}" y1="${px(y1)}" x2="${px(x2)}" y2="${px(y2)}"/>`;

const px = (value: number): string => value.toFixed(1);
