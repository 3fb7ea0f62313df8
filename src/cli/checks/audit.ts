import { randomUUID } from 'node:crypto';
import { request } from 'undici';
import type { Dispatcher } from 'undici';
import { entryUrl } from '../../effects/audit.ts';
import { openClient } from '../../effects/http-client.ts';
import { messageOf } from '../../engine/errors.ts';
import { safe } from '../output/safe.ts';
import type { Settings } from '../settings.ts';
import { auditCaOf } from '../tls.ts';
import { attempt, fail, ok, warn } from './finding.ts';
import type { Finding } from './finding.ts';

const patience = 3_000;

type AuditSettings = Pick<Settings, 'auditUrl' | 'auditCa' | 'auditVerify'>;

export const checkAudit = (settings: AuditSettings): Promise<Finding[]> =>
  attempt('audit', async () => {
    const { auditUrl, auditVerify } = settings;
    if (!auditUrl)
      return [
        warn(
          'audit',
          'no URL is given: a worker does not start without one',
          'give --audit-url or HOLDFAST_AUDIT_URL',
        ),
      ];
    const dispatcher = openClient(auditUrl, { connections: 1, ca: auditCaOf(settings) });
    try {
      return await checkService({ url: auditUrl, where: nameOf(auditUrl), dispatcher }, auditVerify);
    } finally {
      await dispatcher.destroy();
    }
  });

/** Without credentials and query. A password with a bare slash in it looks like a path. */
const nameOf = ({ origin, pathname }: URL): string =>
  safe(`${origin}${pathname.includes('@') ? '/…' : pathname}`);

type Service = { readonly url: URL; readonly where: string; readonly dispatcher: Dispatcher };

const checkService = async (service: Service, verify: boolean): Promise<Finding[]> => {
  try {
    const answer = await checkAnswer(service);
    return verify ? [answer, await checkVerify(service)] : [answer];
  } catch (error) {
    return [
      fail(
        'audit',
        `${service.where} does not answer (${safe(messageOf(error))}): runs wait in retryingAudit`,
        'see that it runs and that its certificate is trusted (--audit-ca), or correct --audit-url',
      ),
    ];
  }
};

/** Any answer to HEAD counts: few services know it where they take POST, and a POST would leave an entry. */
const checkAnswer = async ({ url, where, dispatcher }: Service): Promise<Finding> => {
  const status = await statusOf(url, 'HEAD', dispatcher);
  if (status !== 401) return ok('audit', `${where} answers (HTTP ${status} to HEAD)`);
  return warn(
    'audit',
    `${where} does not let us in (HTTP 401 to HEAD)`,
    'put a user name and a password that it knows into --audit-url',
  );
};

/** A key that nobody ever had: a service that says it took that one would make entries in doubt be lost. */
const checkVerify = async ({ url, where, dispatcher }: Service): Promise<Finding> => {
  const status = await statusOf(entryUrl(url, `holdfast-doctor-${randomUUID()}`), 'GET', dispatcher);
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

const statusOf = async (url: URL, method: 'GET' | 'HEAD', dispatcher: Dispatcher): Promise<number> => {
  const signal = AbortSignal.timeout(patience);
  const { statusCode, body } = await request(url, { method, dispatcher, signal });
  await body.dump();
  return statusCode;
};
