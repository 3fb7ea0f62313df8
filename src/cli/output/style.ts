import { styleText } from 'node:util';
import type { Io } from '../io.ts';
import type { Status } from '../../engine/run.ts';

type Style = 'bold' | 'dim' | 'green' | 'red' | 'yellow' | 'cyan';

/** Colours text on a terminal that wants it (NO_COLOR, FORCE_COLOR), and nowhere else. */
export const paint = ({ out }: Pick<Io, 'out'>, style: Style, text: string): string =>
  styleText(style, text, { stream: out });

export const statusStyle: Readonly<Record<Status, Style>> = {
  active: 'cyan',
  done: 'green',
  failed: 'red',
  cancelled: 'dim',
};
