import { formatDuration } from '../duration.ts';
import type { Io } from '../io.ts';

export const iso = (ms: number): string => new Date(ms).toISOString();

/** `2026-11-23 14:05:01.123` where a person reads it, ISO 8601 where a program does. */
export const shownTime = ({ out }: Pick<Io, 'out'>, ms: number): string => (out.isTTY ? local(ms) : iso(ms));

/** The same without its day. */
export const shownClock = (io: Pick<Io, 'out'>, ms: number): string =>
  shownTime(io, ms).slice('2026-11-23 '.length);

/** How long ago; a clock that was set back in between shows as no time at all. */
export const age = (ms: number, now: number): string => formatDuration(Math.max(0, now - ms));

const local = (ms: number): string =>
  iso(ms - new Date(ms).getTimezoneOffset() * 60_000)
    .slice(0, -1)
    .replace('T', ' ');
