import { statSync } from 'node:fs';
import { ok, warn } from './finding.ts';
import type { Finding } from './finding.ts';

/** What users who are neither the owner nor in the group may do with a file. */
const others = 0o007;

/** A file with secrets is nobody's business but its owner's and its group's. The file exists. */
export const checkPrivate = (check: string, path: string): Finding => {
  const mode = statSync(path).mode & 0o777;
  return (mode & others) === 0
    ? ok(check, `${path} is closed to others (mode ${mode.toString(8)})`)
    : warn(
        check,
        `${path} can be read by everyone on this machine (mode ${mode.toString(8)})`,
        `chmod 600 ${path}`,
      );
};
