import type { ApiKey } from '@carillon/access';
import { CarillonError } from '@carillon/contracts';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { bearerOf, type Gate } from './guard.js';
import type { KeyRef } from './opening.js';
import type { ApiParts } from './parts.js';

/** Milliseconds a session lasts: a working day. */
const SESSION_MAX = 8 * 3_600_000;
const COOKIE = 'carillon_session';
/** The owner sessions are sealed for. */
const OWNER = 'admin';

/** Sessions of people who are signed in. */
export interface Sessions {
  /** Opens a session by a cookie on the reply. @throws UNAUTHORIZED for an unknown key, FORBIDDEN for one that may not look, RATE_LIMITED */
  open(request: FastifyRequest, reply: FastifyReply, key: string): Promise<void>;
  /** The same by the code of a one-time link, which is used up. @throws UNAUTHORIZED for a code that was used or never was one, FORBIDDEN, RATE_LIMITED */
  openByLink(request: FastifyRequest, reply: FastifyReply, code: string): Promise<void>;
  /** Who is in by the request's key or session; undefined if it brings neither. @throws UNAUTHORIZED, RATE_LIMITED */
  find(request: FastifyRequest): Promise<ApiKey | undefined>;
  /**
   * Who is in by the session alone; undefined without one. What changes something must come from a page of ours.
   * @throws UNAUTHORIZED for what another site may have sent
   */
  current(request: FastifyRequest): Promise<ApiKey | undefined>;
  /** Ends the session of a request, if it has one, and takes the cookie back. */
  close(request: FastifyRequest, reply: FastifyReply): Promise<void>;
}

/** What the cookie holds, sealed: never the key itself. */
interface Session extends KeyRef {
  /** ms since the epoch. */
  readonly expiresAt: number;
}

/** Sessions that live in sealed cookies. A session ends with its key, and may at any time what the key may then: it is looked up for every request. */
export function createSessions(
  { apiKeys, openings, vault, metrics }: Pick<ApiParts, 'apiKeys' | 'openings' | 'vault' | 'metrics'>,
  gate: Gate,
): Sessions {
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
  // A key that was taken out or exchanged has no sessions.
  const recall = ({ name, digest }: KeyRef): ApiKey | undefined => {
    const key = apiKeys.recall(digest);
    return key?.name === name ? key : undefined;
  };
  const read = (sealed: string | undefined): Session | undefined => {
    try {
      const session = sealed === undefined ? undefined : (JSON.parse(vault.open('session', OWNER, sealed)) as Session);
      return session && session.expiresAt > Date.now() ? session : undefined;
    } catch {
      // Altered, or sealed with a key that is no longer configured: no session.
      return undefined;
    }
  };
  const admit = async (request: FastifyRequest, reply: FastifyReply, { name, scopes, digest }: ApiKey) => {
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
  };
  const current = async (request: FastifyRequest): Promise<ApiKey | undefined> => {
    const sealed = request.cookies[COOKIE];
    const session = read(sealed);
    const key = session && recall(session);
    if (!key || sealed === undefined || (await openings.hasEnded(sealed))) return undefined;
    if (isReading(request) ? isFetchedElsewhere(request) : !isFromHere(request)) throw refused();
    return key;
  };

  return {
    current,
    async open(request, reply, bearer) {
      if (isFromElsewhere(request)) throw refused();
      await admit(request, reply, await find(request, bearer));
    },
    async openByLink(request, reply, given) {
      const key = await gate.pass('link', request, given, async (code = '') => {
        const ref = await openings.take(code);
        const known = ref && recall(ref);
        if (!known) throw new CarillonError('UNAUTHORIZED');
        return known;
      });
      await admit(request, reply, key);
    },
    async find(request) {
      const bearer = keyOf(request);
      return bearer === undefined ? current(request) : find(request, bearer);
    },
    async close(request, reply) {
      const sealed = request.cookies[COOKIE];
      const session = read(sealed);
      if (sealed !== undefined && session) await openings.end(sealed, session.expiresAt);
      reply.clearCookie(COOKIE, { path: '/' });
    },
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

/**
 * Whether a page of ours sent the request: what a cookie alone does not prove. A browser that trusts the connection says so, whatever host a proxy names
 * to us; any browser names the origin of every request that changes something.
 */
function isFromHere({ headers }: FastifyRequest): boolean {
  const { origin, host, 'sec-fetch-site': site } = headers;
  if (site === 'same-origin') return true;
  if (site === 'cross-site' || site === 'same-site') return false;
  return origin !== undefined && URL.canParse(origin) && new URL(origin).host === host;
}

/**
 * Whether the script of another site asks. A browser gives no cookie of ours to a site that is quite foreign; other ports of one host, and names under one
 * domain, it takes for the same site. It says so of every request to where it trusts the connection.
 */
function isFetchedElsewhere({ headers }: FastifyRequest): boolean {
  const site = headers['sec-fetch-site'];
  return (site === 'cross-site' || site === 'same-site') && headers['sec-fetch-mode'] !== 'navigate';
}

/** Whether a page of another site sent the request. */
export function isFromElsewhere(request: FastifyRequest): boolean {
  return request.headers.origin !== undefined && !isFromHere(request);
}
