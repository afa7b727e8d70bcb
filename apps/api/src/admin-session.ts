import type { ApiKey } from '@carillon/access';
import { CarillonError } from '@carillon/contracts';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { bearerOf, type Gate } from './guard.js';
import type { ApiParts } from './parts.js';

/** Milliseconds a session lasts: a working day. */
const SESSION_MAX = 8 * 3_600_000;
const COOKIE = 'carillon_session';
/** The owner sessions are sealed for. */
const OWNER = 'admin';

/** Sessions of people who look at queues and previews. */
export interface Sessions {
  /** Opens a session by a cookie on the reply. @throws UNAUTHORIZED for an unknown key, FORBIDDEN for one that may not look, RATE_LIMITED */
  open(request: FastifyRequest, reply: FastifyReply, key: string): Promise<void>;
  /** Who is in by the request's key or session; undefined if it brings neither. @throws UNAUTHORIZED, RATE_LIMITED */
  find(request: FastifyRequest): Promise<ApiKey | undefined>;
  /** Takes the cookie back. */
  close(reply: FastifyReply): void;
}

/** What the cookie holds, sealed: never the key itself. */
interface Session {
  /** Name and digest of the key it was opened with. */
  readonly name: string;
  readonly digest: string;
  /** ms since the epoch. */
  readonly expiresAt: number;
}

/** Sessions that live in sealed cookies. A session ends with its key, and may at any time what the key may then: it is looked up for every request. */
export function createSessions({ apiKeys, vault, metrics }: Pick<ApiParts, 'apiKeys' | 'vault' | 'metrics'>, gate: Gate): Sessions {
  const find = (request: FastifyRequest, key: string) =>
    gate.pass('admin', request, key, () => {
      const known = apiKeys.find(key);
      if (!known) throw new CarillonError('UNAUTHORIZED');
      return known;
    });
  const refused = () => {
    metrics.authenticationFailed('admin', 'UNAUTHORIZED');
    return new CarillonError('UNAUTHORIZED');
  };
  const read = (sealed: string): ApiKey | undefined => {
    try {
      const { name, digest, expiresAt } = JSON.parse(vault.open('session', OWNER, sealed)) as Session;
      const key = expiresAt > Date.now() ? apiKeys.recall(digest) : undefined;
      return key?.name === name ? key : undefined;
    } catch {
      // Altered, or sealed with a key that is no longer configured: no session.
      return undefined;
    }
  };

  return {
    async open(request, reply, bearer) {
      if (isFromElsewhere(request)) throw refused();
      const { name, scopes, digest } = await find(request, bearer);
      await gate.enter('admin', request, reply, { type: 'admin', name }, scopes);
      requireViewer(gate, request);
      const session: Session = { name, digest, expiresAt: Date.now() + SESSION_MAX };
      reply.setCookie(COOKIE, vault.seal('session', OWNER, JSON.stringify(session)), {
        path: '/',
        httpOnly: true,
        sameSite: 'strict',
        // Behind a proxy that ends TLS, the origin of the form tells.
        secure: request.protocol === 'https' || request.headers.origin?.startsWith('https:') === true,
        maxAge: SESSION_MAX / 1000,
      });
    },
    async find(request) {
      const bearer = keyOf(request);
      if (bearer !== undefined) return find(request, bearer);
      const sealed = request.cookies[COOKIE];
      const key = sealed === undefined ? undefined : read(sealed);
      if (key && !isReading(request) && !isFromHere(request)) throw refused();
      return key;
    },
    close: (reply) => reply.clearCookie(COOKIE, { path: '/' }),
  };
}

/** Refuses who may see neither queues nor previews. Who may change queues may look at them. @throws FORBIDDEN */
export function requireViewer(gate: Gate, request: FastifyRequest): void {
  if (!request.scopes.includes('admin')) gate.demand('admin', request, 'read');
}

/** The key in an Authorization header: as a bearer token, or as the password of Basic (RFC 7617) with any user name. */
function keyOf(request: FastifyRequest): string | undefined {
  const encoded = /^Basic +(\S+)$/i.exec(request.headers.authorization ?? '')?.[1];
  if (encoded === undefined) return bearerOf(request);
  const credentials = Buffer.from(encoded, 'base64').toString('utf8');
  return credentials.slice(credentials.indexOf(':') + 1);
}

export const isReading = ({ method }: FastifyRequest) => method === 'GET' || method === 'HEAD';

/** Whether a page of ours sent the request: what a cookie alone does not prove. Browsers name the origin of every request that changes something. */
function isFromHere(request: FastifyRequest): boolean {
  const { origin, host } = request.headers;
  return origin !== undefined && URL.canParse(origin) && new URL(origin).host === host;
}

/** Whether a page of another site sent the request. */
export function isFromElsewhere(request: FastifyRequest): boolean {
  return request.headers.origin !== undefined && !isFromHere(request);
}
