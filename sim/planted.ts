import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

/** A bug that somebody could have written, as a patch that opens with a sentence about it. */
export type Fault = { readonly name: string; readonly says: string; readonly patch: string };

const root = path.join(import.meta.dirname, '..');
const folder = path.join(root, 'test/faults');

export const faults = (): Fault[] =>
  readdirSync(folder)
    .filter((file) => file.endsWith('.patch'))
    .toSorted()
    .map((file) => {
      const patch = path.join(folder, file);
      return {
        name: path.basename(file, '.patch'),
        says: readFileSync(patch, 'utf8').split('\n')[0]!,
        patch,
      };
    });

/** @throws with what git says when it does not */
export const checkApplies = ({ patch }: Fault): void => {
  git(root, 'apply', '--check', patch);
};

/** Works on a copy of the source in which the fault is planted; the copy is gone afterwards. */
export const withFault = async <T>({ patch }: Fault, work: (copy: string) => Promise<T>): Promise<T> => {
  const copy = mkdtempSync(path.join(tmpdir(), 'holdfast-fault-'));
  try {
    for (const part of ['src', 'sim', 'bench/table.ts', 'package.json'])
      cpSync(path.join(root, part), path.join(copy, part), { recursive: true });
    symlinkSync(path.join(root, 'node_modules'), path.join(copy, 'node_modules'));
    git(copy, 'apply', patch);
    return await work(copy);
  } finally {
    rmSync(copy, { recursive: true });
  }
};

const git = (cwd: string, ...args: string[]): void => {
  execFileSync('git', args, { cwd, stdio: ['ignore', 'ignore', 'pipe'] });
};
