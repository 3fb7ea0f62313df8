import { hash } from 'node:crypto';
import { stringify } from 'safe-stable-stringify';

/** The longest key, in bytes: what AMQP 0-9-1 carries in a message id (a short string). */
const maxKeyBytes = 255;

/** Says what is wrong with an idempotency key, or nothing. */
export const keyProblem = (key: string): string | undefined => {
  if (key === '') return 'the key is empty';
  if (Buffer.byteLength(key) > maxKeyBytes) return `the key is longer than ${maxKeyBytes} bytes`;
  // oxlint-disable-next-line no-control-regex
  if (/[\u0000-\u001f\u007f-\u009f]/.test(key)) return 'the key has control characters';
  // Half a character is not kept as it is: two such keys would be one.
  if (!key.isWellFormed()) return 'the key has half a character (a lone surrogate)';
  return undefined;
};

/** Equal inputs of one machine, whatever the order of their fields, have equal fingerprints. */
export const fingerprint = (machine: string, input: unknown): string =>
  digest(`${machine}\n${stringify(input) ?? ''}`);

/** The idempotency key of a call, on every attempt and for ever. */
export const callKey = (runId: string, call: string): string => {
  const key = `${runId}/${call}`;
  if (Buffer.byteLength(key) <= maxKeyBytes) return key;
  // The alert's message id is its key: a long one gives way to its digest.
  const short = `${digest(runId)}/${call}`;
  return Buffer.byteLength(short) <= maxKeyBytes ? short : digest(key);
};

const digest = (text: string): string => hash('sha256', text, 'base64url');

/** Names the fields in which two inputs differ, for the reason of a conflict. */
export const difference = (known: unknown, given: unknown): string => {
  const before = fields(known);
  const after = fields(given);
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])];
  const changed = names.filter((name) => stringify(before[name]) !== stringify(after[name]));
  return changed
    .map((name) => `${name}: ${shown(before[name])} is known, ${shown(after[name])} was sent`)
    .join('; ');
};

const fields = (value: unknown): Record<string, unknown> =>
  typeof value === 'object' && value !== null ? { ...value } : { input: value };

const shown = (value: unknown): string => {
  const text = stringify(value) ?? 'nothing';
  return text.length > 80 ? `${text.slice(0, 79)}…` : text;
};
