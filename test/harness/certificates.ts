import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

/** A certificate and its key, as files in PEM. */
type Certificate = { readonly cert: string; readonly key: string };

/** A certificate authority of a test's own. What it signed goes with it. */
export interface Authority extends Disposable {
  readonly ca: string;
  /** For a server of this name, or for a client that is called so. */
  sign(name: string): Certificate;
}

const openssl = (...args: string[]) => execFileSync('openssl', args, { stdio: ['ignore', 'pipe', 'pipe'] });

const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];

export const newAuthority = (name: string): Authority => {
  const folder = mkdtempSync(path.join(tmpdir(), 'holdfast-ca-'));
  const file = (suffix: string) => path.join(folder, suffix);
  const ca = file('ca.pem');
  openssl(
    'req',
    '-x509',
    ...newKey,
    '-keyout',
    file('ca.key'),
    '-out',
    ca,
    '-days',
    '2',
    '-subj',
    `/CN=${name}`,
  );
  return {
    ca,
    sign: (subject) => {
      const [cert, key, request, extensions] = ['pem', 'key', 'csr', 'ext'].map((end) =>
        file(`${subject}.${end}`),
      );
      writeFileSync(extensions!, `subjectAltName = DNS:${subject}\n`);
      openssl('req', '-new', ...newKey, '-keyout', key!, '-out', request!, '-subj', `/CN=${subject}`);
      const issuer = ['-CA', ca, '-CAkey', file('ca.key'), '-CAcreateserial'];
      openssl(
        'x509',
        '-req',
        '-in',
        request!,
        ...issuer,
        '-days',
        '2',
        '-extfile',
        extensions!,
        '-out',
        cert!,
      );
      return { cert: cert!, key: key! };
    },
    [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }),
  };
};
