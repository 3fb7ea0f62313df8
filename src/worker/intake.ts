import type { z } from 'zod';
import { messageOf } from '../engine/errors.ts';
import { fingerprint, keyProblem } from '../engine/identity.ts';
import type { Machine } from '../engine/machine.ts';
import type { Registry } from '../machines/registry.ts';
import type { Message, Queue } from '../queue/queue.ts';
import { maxBodyBytes } from '../queue/queue.ts';
import type { Mail } from './mail.ts';

/** A message that asks for a run. */
export type Request = {
  readonly id: string;
  readonly machine: Machine;
  readonly input: unknown;
  readonly fingerprint: string;
  /** Why no run can begin with it. One that began when its schema was another one still goes on. */
  readonly problem: string | undefined;
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
  const badKey = keyProblem(id);
  if (badKey) return refused(badKey);
  if (!ref) return refused('the message names no machine: set its type, or its routing key');
  const machine = registry.resolve(ref);
  if (!machine) return { type: 'unknownMachine', ref };
  try {
    const input = JSON.parse(strictUtf8.decode(body)) as unknown;
    const { error } = machine.input.safeParse(input);
    const problem = error && schemaProblems(error);
    // As it was submitted: what a schema adds may be another thing the next time, or in the next version.
    const request = { id, machine, input, fingerprint: fingerprint(machine.id, input), problem };
    return { type: 'accepted', request };
  } catch (error) {
    // No UTF-8, no JSON, nested too deeply, or a transform of the schema throws.
    return refused(`the input cannot be read: ${messageOf(error)}`);
  }
};

/** The runs that deliveries name and this worker does not hold, and whether whoever holds one is known to be gone. */
export const askedFor = (
  mail: readonly Mail[],
  held: ReadonlyMap<string, unknown>,
  { holdsByLease }: Pick<Queue, 'holdsByLease'>,
): { id: string; redelivered: boolean }[] => {
  const asked = new Map<string, boolean>();
  for (const item of mail) {
    if (item.type !== 'delivery' || held.has(item.request.id)) continue;
    const { delivery, again, request } = item;
    const provesLoss = delivery.redelivered && !again && !holdsByLease;
    asked.set(request.id, provesLoss || (asked.get(request.id) ?? false));
  }
  return [...asked].map(([id, redelivered]) => ({ id, redelivered }));
};

/** `title: is empty; color: is not a known field` */
export const schemaProblems = ({ issues }: z.ZodError): string =>
  issues
    .map((issue) => {
      if (issue.code === 'unrecognized_keys') return `${issue.keys.join(', ')}: not a known field`;
      const path = issue.path.join('.');
      return path ? `${path}: ${wording(issue)}` : wording(issue);
    })
    .join('; ');

/** What zod says of a wrong type is about types; a person left a field out, or wrote another thing into it. */
const wording = ({ code, message }: z.core.$ZodIssue): string => {
  if (code !== 'invalid_type') return message;
  const [, expected, received] = /expected (\w+), received (\w+)/.exec(message) ?? [];
  if (received === undefined) return message;
  return received === 'undefined' ? 'is missing' : `is ${received}, and must be ${expected}`;
};

const strictUtf8 = new TextDecoder('utf-8', { fatal: true });

const refused = (error: string): Intake => ({ type: 'refused', error });
