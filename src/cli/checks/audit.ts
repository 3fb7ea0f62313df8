import { request } from 'undici';
import { messageOf } from '../../engine/errors.ts';
import { safe } from '../output/safe.ts';
import { fail, ok, warn } from './finding.ts';
import type { Finding } from './finding.ts';

const patience = 3_000;

/** Any answer counts: few services know HEAD where they take POST, and a POST would leave an entry. */
export const checkAudit = async (url: URL | undefined): Promise<Finding> => {
  if (!url)
    return warn(
      'audit',
      'no URL is given: a worker does not start without one',
      'give --audit-url or HOLDFAST_AUDIT_URL',
    );
  const where = `${url.origin}${url.pathname}`; // without credentials and query
  try {
    const { statusCode, body } = await request(url, {
      method: 'HEAD',
      signal: AbortSignal.timeout(patience),
    });
    await body.dump();
    return ok('audit', `${where} answers (HTTP ${statusCode} to HEAD)`);
  } catch (error) {
    return fail(
      'audit',
      `${safe(where)} does not answer (${safe(messageOf(error))}): runs wait in retryingAudit`,
      'see that it runs, or correct --audit-url',
    );
  }
};
