/** The longest delay that `setTimeout` takes: 2^31 - 1 ms, about 25 days. A longer one would fire at once. */
const longest = 2_147_483_647;

/** Rings after `delay` ms, however long that is. Returns what cancels it. */
export const setAlarm = (delay: number, ring: () => void): (() => void) => {
  let timeout: NodeJS.Timeout;
  const wait = (left: number) => {
    timeout = setTimeout(
      () => (left > longest ? wait(left - longest) : ring()),
      Math.min(Math.max(left, 0), longest),
    );
  };
  wait(delay);
  return () => clearTimeout(timeout);
};
