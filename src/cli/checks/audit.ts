import { randomUUID } from 'node:crypto';
import { request } from 'undici';
import { entryUrl } from '../../effects/audit.ts';
import { messageOf } from '../../engine/errors.ts';
import { safe } from '../output/safe.ts';
import type { Settings } from '../settings.ts';
import { fail, ok, warn } from './finding.ts';
import type { Finding } from './finding.ts';

const patience = 3_000;

/** Any answer to HEAD counts: few services know it where they take POST, and a POST would leave an entry. */
export const checkAudit = async ({
  auditUrl: url,
  auditVerify,
}: Pick<Settings, 'auditUrl' | 'auditVerify'>): Promise<Finding[]> => {
  if (!url)
    return [
      warn(
        'audit',
        'no URL is given: a worker does not start without one',
        'give --audit-url or HOLDFAST_AUDIT_URL',
      ),
    ];
  const where = `${url.origin}${url.pathname}`; // without credentials and query
  try {
    const status = await statusOf(url, 'HEAD');
    return [
      ok('audit', `${where} answers (HTTP ${status} to HEAD)`),
      ...(auditVerify ? [await checkVerify(url, where)] : []),
    ];
  } catch (error) {
    return [
      fail(
        'audit',
        `${safe(where)} does not answer (${safe(messageOf(error))}): runs wait in retryingAudit`,
        'see that it runs, or correct --audit-url',
      ),
    ];
  }
};

/** A key that nobody ever had: a service that says it took that one would make entries in doubt be lost. */
const checkVerify = async (url: URL, where: string): Promise<Finding> => {
  const status = await statusOf(entryUrl(url, `holdfast-doctor-${randomUUID()}`), 'GET');
  if (status === 404) return ok('audit verify', `GET ${where}/KEY says 404 of a key that was never posted`);
  if (status === 200)
    return fail(
      'audit verify',
      `GET ${where}/KEY says 200 of a key that was never posted: an entry in doubt would be taken for written`,
      'leave --audit-verify out until the service answers 404 to such keys',
    );
  return warn(
    'audit verify',
    `GET ${where}/KEY answers HTTP ${status}, which tells nothing: an entry in doubt is posted again under its key`,
    'answer 200 to keys that were taken and 404 to others, or leave --audit-verify out',
  );
};

const statusOf = async (url: URL, method: 'GET' | 'HEAD'): Promise<number> => {
  const { statusCode, body } = await request(url, { method, signal: AbortSignal.timeout(patience) });
  await body.dump();
  return statusCode;
};
