import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createSecureContext } from 'node:tls';
import type { Tls } from '../amqp/link.ts';
import { messageOf } from '../engine/errors.ts';
import { CliError, exitCodes, usage } from './exit.ts';
import { safe } from './output/safe.ts';
import type { Settings } from './settings.ts';

type TlsSettings = Pick<Settings, 'queue' | 'ca' | 'cert' | 'certKey'>;

/** What a connection to the broker trusts and shows, read and checked. @throws CliError that names the file */
export const tlsOf = ({ queue, ca, cert, certKey }: TlsSettings): Tls | undefined => {
  if (ca === undefined && cert === undefined && certKey === undefined) return undefined;
  if (queue.startsWith('amqp:'))
    throw usage(
      'a CA or a certificate is given, and the queue’s URL begins with amqp://, which neither checks nor encrypts anything: write amqps://',
    );
  return { ...(ca !== undefined && { ca: readCa('--ca', ca) }), ...pairOf(cert, certKey) };
};

/** Whom a connection to the audit service trusts. @throws CliError that names the file */
export const auditCaOf = ({ auditCa }: Pick<Settings, 'auditCa'>): Buffer | undefined =>
  auditCa === undefined ? undefined : readCa('--audit-ca', auditCa);

/** A file of one or more certificates. @throws CliError that names it */
const readCa = (flag: string, path: string): Buffer => {
  const pem = read(flag, path);
  try {
    parse(pem);
    return pem;
  } catch (error) {
    throw unusable(`${flag} ${safe(path)} is no certificate in PEM`, error);
  }
};

/** Node takes a CA that is none without a word, and trusts nobody then. */
const parse = (pem: Buffer): X509Certificate => new X509Certificate(pem);

const pairOf = (cert: string | undefined, certKey: string | undefined): Pick<Tls, 'cert' | 'key'> => {
  if (cert === undefined && certKey === undefined) return {};
  if (cert === undefined) throw usage('--cert-key is given without --cert: give both');
  if (certKey === undefined) throw usage('--cert is given without --cert-key: give both');
  const pair = { cert: read('--cert', cert), key: read('--cert-key', certKey) };
  try {
    createSecureContext(pair);
  } catch (error) {
    throw unusable(
      `--cert ${safe(cert)} and --cert-key ${safe(certKey)} do not go together (${safe(messageOf(error))}): give a certificate and its own key, in PEM and without a passphrase`,
      error,
    );
  }
  return pair;
};

const read = (flag: string, path: string): Buffer => {
  try {
    return readFileSync(path);
  } catch (error) {
    throw unusable(`${flag} ${safe(path)} cannot be read: ${safe(messageOf(error))}`, error);
  }
};

const unusable = (message: string, cause: unknown): CliError =>
  new CliError(exitCodes.usage, message, { cause });
