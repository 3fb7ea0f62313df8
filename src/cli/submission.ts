import { randomUUIDv7 } from 'node:crypto';
import { difference, fingerprint, keyProblem } from '../engine/identity.ts';
import type { Registry } from '../machines/registry.ts';
import type { Queue } from '../queue/queue.ts';
import { maxBodyBytes } from '../queue/queue.ts';
import type { Archive } from '../store/store.ts';
import { schemaProblems } from '../worker/intake.ts';
import { CliError, exitCodes, usage } from './exit.ts';
import { safe } from './output/safe.ts';

/** What a person wants done: nothing about it is checked yet. */
export type Wish = { readonly machine: string; readonly input: unknown; readonly key?: string | undefined };

/** A wish that can become a run; `id` is the run's id and the submission's idempotency key. */
export type Checked = {
  readonly id: string;
  readonly machine: string;
  readonly input: unknown;
  readonly body: Buffer;
  readonly fingerprint: string;
};

/** @throws CliError (usage) that names the field */
export const checkWish = (registry: Registry, { machine: ref, input, key }: Wish): Checked => {
  const machine = registry.resolve(ref);
  if (!machine) {
    const known = registry.machines.map((one) => one.ref).join(', ');
    throw usage(`there is no machine "${safe(ref)}"; there is ${known} (add your own with --machines)`);
  }
  const id = key ?? randomUUIDv7();
  const problem = keyProblem(id);
  if (problem) throw usage(problem);
  const checked = machine.input.safeParse(input);
  if (!checked.success) throw usage(safe(schemaProblems(checked.error)));
  const body = Buffer.from(JSON.stringify(input));
  if (body.length > maxBodyBytes)
    throw usage(`the input is ${body.length} bytes long; ${maxBodyBytes} are allowed`);
  return {
    id,
    machine: machine.ref,
    input,
    body,
    fingerprint: fingerprint(machine.id, input),
  };
};

/**
 * Resolves when the submission is safe: in the queue, or in the store already ('known').
 * @throws CliError (conflict) where the store can tell at once; QueueError
 */
export const accept = async (
  queue: Queue,
  archive: Archive | undefined,
  wish: Checked,
): Promise<'accepted' | 'known'> => {
  const run = await archive?.get(wish.id);
  if (run) {
    if (run.fingerprint !== wish.fingerprint) throw conflict(wish, run.input);
    return 'known';
  }
  await queue.publish({ id: wish.id, machine: wish.machine, body: wish.body });
  return 'accepted';
};

export const conflict = ({ id, input }: Checked, known: string): CliError => {
  const differs = safe(difference(JSON.parse(known), input)) || 'to another machine';
  return new CliError(
    exitCodes.conflict,
    `conflict: the key "${safe(id)}" belongs to another submission, which is untouched: ${differs}`,
  );
};
