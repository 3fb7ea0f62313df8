/** What a TLS handshake that fails says to a person: by the names that Node and OpenSSL give to the failure. */

type Says = (where: string, text: string) => string;

const refusals: [code: RegExp, says: Says][] = [
  [
    /ALTNAME_INVALID/,
    (where, text) =>
      `the certificate at ${where} is for another name (${text}): write the name that it is for into the queue's URL`,
  ],
  [
    /^(UNABLE_TO_|SELF_SIGNED|DEPTH_ZERO|CERT_UNTRUSTED|CERT_SIGNATURE|INVALID_CA)/,
    (where, text) =>
      `the certificate at ${where} is not signed by a CA that is trusted here (${text}): pass the CA that signed it`,
  ],
  [
    /^CERT_(HAS_EXPIRED|NOT_YET_VALID)/,
    (where, text) =>
      `the certificate at ${where} is not valid now (${text}): renew it, or set the clock of this machine`,
  ],
  [
    /ALERT_CERTIFICATE_REQUIRED/,
    (where) => `RabbitMQ at ${where} asks for a client certificate: pass one with its key`,
  ],
  [
    /ALERT_HANDSHAKE_FAILURE/,
    (where, text) =>
      `RabbitMQ at ${where} ended the TLS handshake (${text}): pass a client certificate, if it asks for one, and see its log`,
  ],
  [
    /ALERT_(UNKNOWN_CA|BAD_CERTIFICATE|CERTIFICATE_|UNSUPPORTED_CERTIFICATE|ACCESS_DENIED)/,
    (where, text) =>
      `RabbitMQ at ${where} does not accept the client certificate (${text}): pass one that is valid, from a CA that it trusts`,
  ],
  [
    /WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG/,
    (where) => `${where} does not speak TLS: use the port that does (5671 is usual), or amqp://`,
  ],
  [
    /TLS|SSL|CERT|EPROTO/,
    (where, text) => `no trusted TLS connection to ${where} (${text}): see the log of RabbitMQ`,
  ],
];

/** One line for a failure of TLS; nothing for any other. `where` has no credentials. */
export const tlsProblem = (
  code: unknown,
  error: unknown,
  text: string,
  where: string,
): string | undefined => {
  if (typeof code !== 'string') return undefined;
  const [, says] = refusals.find(([pattern]) => pattern.test(code)) ?? [];
  return says?.(where, opensslReason(error) ?? text);
};

/** OpenSSL's message names a thread and a line of its own source; its reason is what a person can use. */
const opensslReason = (error: unknown): string | undefined =>
  error instanceof Error && 'library' in error && 'reason' in error ? String(error.reason) : undefined;
