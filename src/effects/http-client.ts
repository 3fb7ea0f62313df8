import { Agent } from 'undici';
import type { Dispatcher } from 'undici';

export type ClientOptions = {
  readonly connections: number;
  /** Who signed the service's certificate (PEM), instead of whom Node trusts. */
  readonly ca?: Buffer | undefined;
};

/**
 * Connections to the one service of this URL. Its user name and password go to that service as Basic
 * authentication (RFC 7617) with every request, and nowhere else. @throws Error when they cannot be read
 */
export const openClient = (url: URL, { connections, ca }: ClientOptions): Dispatcher => {
  const authorization = basicAuth(url);
  const agent = new Agent({ connections, keepAliveTimeout: 30_000, connect: ca ? { ca } : {} });
  if (authorization === undefined) return agent;
  return agent.compose(
    (dispatch) => (options, handler) =>
      dispatch({ ...options, headers: { ...(options.headers as object), authorization } }, handler),
  );
};

/** The header of the URL's credentials, where it has some. @throws Error, without them */
export const basicAuth = ({ username, password }: URL): string | undefined => {
  if (username === '' && password === '') return undefined;
  const user = decode(username);
  if (user.includes(':')) throw unreadable();
  return `Basic ${Buffer.from(`${user}:${decode(password)}`).toString('base64')}`;
};

const decode = (part: string): string => {
  try {
    return decodeURIComponent(part);
  } catch {
    throw unreadable();
  }
};

const unreadable = (): Error =>
  new Error('the user name or the password in the URL cannot be read: percent-encode special characters');
