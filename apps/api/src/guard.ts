import { type ApiKey, isRevoked } from '@carillon/access';
import type { Actor } from '@carillon/audit';
import { CarillonError, type ErrorCode, type Scope, toCarillonError } from '@carillon/contracts';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { createGuesses, createLimits } from './limits.js';
import type { ApiParts } from './parts.js';
import { scopesFor } from './policy.js';
import type { Server } from './validation.js';

declare module 'fastify' {
  interface FastifyRequest {
    /** Who sent the request, once that is proven: an API key by its name, or a user by the subject of their token. */
    actor: Actor;
    /** What the caller's key may do; nothing for others. */
    scopes: readonly Scope[];
  }
}

/** Who has proven nothing. */
export const ANYBODY: Actor = { type: 'anybody', name: '' };

/** Faults that a guesser's tries have. An expired or revoked token was once good, and guesses nothing. */
const GUESSED = new Set<ErrorCode>(['UNAUTHORIZED', 'TOKEN_INVALID']);

/** Proofs and limits, for all doors of the interface. */
export interface Gate {
  /**
   * Checks a credential. Counts what fails, under the name of the door.
   * @throws what `check` throws; RATE_LIMITED instead where a wrong credential is one of too many from there
   */
  pass<T>(
    where: string,
    request: FastifyRequest,
    credential: string | undefined,
    check: (credential?: string) => T | Promise<T>,
  ): Promise<T>;
  /** Names who is in, and takes what the request costs from what they may ask. @throws RATE_LIMITED */
  enter(where: string, request: FastifyRequest, reply: FastifyReply, actor: Actor, scopes?: readonly Scope[]): Promise<void>;
  /** Takes `points` more, for a request that costs more than others. @throws RATE_LIMITED */
  charge(request: FastifyRequest, reply: FastifyReply, points: number): Promise<void>;
  /** Refuses who lacks a scope. @throws FORBIDDEN with the scope as `field` */
  demand(where: string, request: FastifyRequest, scope: Scope): void;
}

export function createGate({ metrics, rateApi }: Pick<ApiParts, 'metrics' | 'rateApi'>): Gate {
  const guesses = createGuesses();
  const limits = createLimits(rateApi);
  // A key has one budget, whether it comes to the routes or to the queue board.
  const payerOf = ({ type, name }: Actor) => `${type === 'user' ? 'user' : 'key'} ${name}`;
  const counted = <T>(where: string, error: T): T => {
    metrics.authenticationFailed(where, toCarillonError(error).code);
    return error;
  };
  return {
    async pass(where, { ip }, credential, check) {
      try {
        return await check(credential);
      } catch (error) {
        const isGuess = credential !== undefined && GUESSED.has(toCarillonError(error).code);
        throw counted(where, (isGuess && (await guesses.failed(ip))) || error);
      }
    },
    async enter(where, request, reply, actor, granted = []) {
      request.actor = actor;
      request.scopes = granted;
      await limits.take(reply, payerOf(actor)).catch((error) => {
        throw counted(where, error);
      });
    },
    charge: (request, reply, points) => limits.takeMore(reply, payerOf(request.actor), points),
    demand(where, request, scope) {
      if (!request.scopes.includes(scope)) throw counted(where, new CarillonError('FORBIDDEN', { field: scope }));
    },
  };
}

/** Who is signed in on a page of ours; see `Sessions`. */
export interface SignedIn {
  current(request: FastifyRequest): Promise<ApiKey | undefined>;
}

/** Lets requests pass that bring what the policy of their route asks for. @throws UNAUTHORIZED, FORBIDDEN, RATE_LIMITED, TOKEN_INVALID, TOKEN_EXPIRED, TOKEN_REVOKED */
export function guard(
  server: Server,
  gate: Gate,
  sessions: SignedIn,
  parts: Pick<ApiParts, 'apiKeys' | 'verifyToken' | 'revocations' | 'metrics'>,
): void {
  // Set for each request below; fastify shares no objects between requests.
  server.decorateRequest('actor', null as unknown as Actor);
  server.decorateRequest('scopes', null as unknown as readonly Scope[]);
  server.addHook('onRequest', async (request, reply) => {
    request.actor = ANYBODY;
    request.scopes = [];
    const { access } = request.routeOptions.config;
    if (access === 'token') return letUserIn(gate, parts, request, reply);
    const scopes = scopesFor(access);
    if (scopes.length === 0 && access !== 'anyKey') return;
    if (!(await letSessionIn(gate, sessions, request, reply))) await letKeyIn(gate, parts, request, reply);
    for (const scope of scopes) gate.demand('http', request, scope);
  });
  // Should a door ever be forgotten, nobody gets through it.
  server.addHook('preParsing', async ({ routeOptions: { config }, actor }) => {
    if (config.access === 'anybody' || config.access === 'signature') return;
    // What has no route is answered as such.
    if (config.access !== undefined && actor === ANYBODY) throw new CarillonError('UNAUTHORIZED');
  });
}

/** Who is signed in on a page may there what their key may. Whoever brings a key, right or wrong, is judged by that alone. */
async function letSessionIn(gate: Gate, sessions: SignedIn, request: FastifyRequest, reply: FastifyReply): Promise<boolean> {
  const key = request.headers.authorization === undefined ? await sessions.current(request) : undefined;
  if (!key) return false;
  await gate.enter('http', request, reply, { type: 'admin', name: key.name }, key.scopes);
  return true;
}

async function letKeyIn(gate: Gate, { apiKeys }: Pick<ApiParts, 'apiKeys'>, request: FastifyRequest, reply: FastifyReply): Promise<void> {
  const { name, scopes } = await gate.pass('http', request, bearerOf(request), (bearer) => {
    const key = bearer === undefined ? undefined : apiKeys.find(bearer);
    if (!key) throw new CarillonError('UNAUTHORIZED');
    return key;
  });
  await gate.enter('http', request, reply, { type: 'key', name }, scopes);
}

async function letUserIn(
  gate: Gate,
  { verifyToken, revocations, metrics }: Pick<ApiParts, 'verifyToken' | 'revocations' | 'metrics'>,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<void> {
  const verified = await gate.pass('me', request, bearerOf(request), (token) => {
    if (token === undefined) throw new CarillonError('TOKEN_INVALID', { message: 'The client token is missing.' });
    return verifyToken(token);
  });
  const [since = 0] = await revocations.since([verified.userId]);
  if (isRevoked(verified, since)) {
    metrics.authenticationFailed('me', 'TOKEN_REVOKED');
    throw new CarillonError('TOKEN_REVOKED');
  }
  await gate.enter('me', request, reply, { type: 'user', name: verified.userId });
}

/** The bearer token of a request (RFC 6750 §2.1; the scheme's case does not matter). */
export function bearerOf(request: FastifyRequest): string | undefined {
  return /^Bearer +(\S+)$/i.exec(request.headers.authorization ?? '')?.[1];
}
