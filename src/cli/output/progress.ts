import type { Io } from '../io.ts';

const width = 24;

/** A bar that redraws itself on a terminal, and nothing where there is none. */
export const progressBar = (io: Io, what: string) => {
  const isShown = io.err.isTTY === true;
  return {
    update(done: number, total: number): void {
      if (!isShown) return;
      const filled = total === 0 ? width : Math.round((done / total) * width);
      io.err.write(`\r\u001b[2K${'█'.repeat(filled)}${'░'.repeat(width - filled)} ${done}/${total} ${what}`);
    },
    end(): void {
      if (isShown) io.err.write('\r\u001b[2K');
    },
  };
};
