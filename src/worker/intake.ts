import type { z } from 'zod';
import { fingerprint, keyProblem } from '../engine/identity.ts';
import type { Machine } from '../engine/machine.ts';
import type { Registry } from '../machines/registry.ts';
import type { Message } from '../queue/queue.ts';
import { maxBodyBytes } from '../queue/queue.ts';

/** A message that can become a run. */
export type Request = {
  readonly id: string;
  readonly machine: Machine;
  readonly input: unknown;
  readonly fingerprint: string;
};

export type Intake =
  | { readonly type: 'accepted'; readonly request: Request }
  /** It can never become a run. */
  | { readonly type: 'refused'; readonly error: string }
  /** Nobody here knows its machine: a newer worker may. */
  | { readonly type: 'unknownMachine'; readonly ref: string };

/** Checks a message from the outside, its size before anything is parsed. */
export const takeIn = ({ id, machine: ref, body }: Message, registry: Registry): Intake => {
  if (body.length > maxBodyBytes)
    return refused(`the input is ${body.length} bytes long; ${maxBodyBytes} are allowed`);
  if (id === undefined) return refused('the message has no id: set message_id to its idempotency key');
  const problem = keyProblem(id);
  if (problem) return refused(problem);
  if (!ref) return refused('the message names no machine: set its type, or its routing key');
  const machine = registry.resolve(ref);
  if (!machine) return { type: 'unknownMachine', ref };
  const input = parse(machine, body);
  if (typeof input === 'string') return refused(input);
  return {
    type: 'accepted',
    request: { id, machine, input: input.value, fingerprint: fingerprint(machine.id, input.value) },
  };
};

/** The checked input, or what is wrong with it. */
const parse = (machine: Machine, body: Buffer): { value: unknown } | string => {
  let json: unknown;
  try {
    json = JSON.parse(strictUtf8.decode(body));
  } catch {
    return 'the input is not JSON';
  }
  const checked = machine.input.safeParse(json);
  return checked.success ? { value: checked.data } : schemaProblems(checked.error);
};

/** `title: is empty; color: is not a known field` */
export const schemaProblems = ({ issues }: z.ZodError): string =>
  issues
    .map((issue) => {
      if (issue.code === 'unrecognized_keys') return `${issue.keys.join(', ')}: not a known field`;
      const path = issue.path.join('.');
      return path ? `${path}: ${issue.message}` : issue.message;
    })
    .join('; ');

const strictUtf8 = new TextDecoder('utf-8', { fatal: true });

const refused = (error: string): Intake => ({ type: 'refused', error });
