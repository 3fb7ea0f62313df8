import { messageOf } from '../../engine/errors.ts';

/** `fail`: it would lose or stall work. `warn`: look at it. `says` and `fix` are for people, and without credentials. */
export type Finding = {
  readonly check: string;
  readonly level: 'ok' | 'warn' | 'fail';
  readonly says: string;
  readonly fix?: string;
};

export const ok = (check: string, says: string): Finding => ({ check, level: 'ok', says });
export const warn = (check: string, says: string, fix: string): Finding => ({
  check,
  level: 'warn',
  says,
  fix,
});
export const fail = (check: string, says: string, fix?: string): Finding => ({
  check,
  level: 'fail',
  says,
  ...(fix !== undefined && { fix }),
});

/** The findings of a check, or the one that it could not be made. The errors of our adapters say what to do. */
export const attempt = async (check: string, look: () => Promise<Finding[]>): Promise<Finding[]> => {
  try {
    return await look();
  } catch (error) {
    return [fail(check, messageOf(error))];
  }
};
