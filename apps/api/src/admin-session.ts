import type { FastifyReply, FastifyRequest } from 'fastify';
import { bearerOf } from './keys.js';
import type { ApiParts } from './parts.js';

/** Milliseconds a session lasts: a working day. */
const SESSION_MAX = 8 * 3_600_000;
const COOKIE = 'carillon_session';
/** The owner sessions are sealed for. */
const OWNER = 'admin';

/** Whether a request may see queues and previews: `in`, `out` (it brings no proof) or `refused` (its proof is wrong). */
export type Admission = 'in' | 'out' | 'refused';

/** Sessions of people who look at queues and previews. */
export interface Sessions {
  /** Opens a session with an API key by a cookie on the reply; false if the key is unknown or another site sent the form. */
  open(request: FastifyRequest, reply: FastifyReply, key: string): boolean;
  check(request: FastifyRequest): Admission;
}

interface Session {
  readonly key: string;
  /** ms since the epoch. */
  readonly expiresAt: number;
}

/** Sessions that live in sealed cookies. A session ends with its key: the key is looked up again for every request. */
export function createSessions(apiKeys: ApiParts['apiKeys'], vault: ApiParts['vault']): Sessions {
  const read = (sealed: string): Session | undefined => {
    try {
      const session = JSON.parse(vault.open('session', OWNER, sealed)) as Session;
      return session.expiresAt > Date.now() && apiKeys.find(session.key) ? session : undefined;
    } catch {
      // Altered, or sealed with a key that is no longer configured: no session.
      return undefined;
    }
  };

  return {
    open(request, reply, key) {
      if (!apiKeys.find(key) || isFromElsewhere(request)) return false;
      const session: Session = { key, expiresAt: Date.now() + SESSION_MAX };
      reply.setCookie(COOKIE, vault.seal('session', OWNER, JSON.stringify(session)), {
        path: '/',
        httpOnly: true,
        sameSite: 'strict',
        secure: request.protocol === 'https',
        maxAge: SESSION_MAX / 1000,
      });
      return true;
    },
    check(request) {
      const key = keyOf(request);
      if (key !== undefined) return apiKeys.find(key) ? 'in' : 'refused';
      const sealed = request.cookies[COOKIE];
      if (sealed === undefined) return 'out';
      if (!read(sealed)) return 'out';
      return isReading(request) || isFromHere(request) ? 'in' : 'refused';
    },
  };
}

/** The key in an Authorization header: as a bearer token, or as the password of Basic (RFC 7617) with any user name. */
function keyOf(request: FastifyRequest): string | undefined {
  const encoded = /^Basic +(\S+)$/i.exec(request.headers.authorization ?? '')?.[1];
  if (encoded === undefined) return bearerOf(request);
  const credentials = Buffer.from(encoded, 'base64').toString('utf8');
  return credentials.slice(credentials.indexOf(':') + 1);
}

const isReading = ({ method }: FastifyRequest) => method === 'GET' || method === 'HEAD';

/** Whether a page of ours sent the request: what a cookie alone does not prove. Browsers name the origin of every request that changes something. */
function isFromHere(request: FastifyRequest): boolean {
  const { origin, host } = request.headers;
  return origin !== undefined && URL.canParse(origin) && new URL(origin).host === host;
}

/** Whether a page of another site sent the request. */
function isFromElsewhere(request: FastifyRequest): boolean {
  return request.headers.origin !== undefined && !isFromHere(request);
}
