import type { AuditAction } from '@carillon/audit';
import { CarillonError, type Scope, scopes } from '@carillon/contracts';
import type { Server } from './validation.js';

/**
 * Who may use a route: an API key with a scope, with several, or with any; a user by client token, for themselves; somebody signed in at the
 * queue board; a provider, by its signature; or anybody.
 */
export type Access = Scope | readonly Scope[] | 'anyKey' | 'token' | 'session' | 'signature' | 'anybody';

/** The scopes an API key needs for it, all of them. */
export const scopesFor = (access: Access | undefined): readonly Scope[] =>
  typeof access === 'object' ? access : scopes.filter((scope) => scope === access);

/** What every route says of itself in its `config`. */
export interface Policy {
  readonly access: Access;
  /** How a use of it is called in the audit trail; `none` for what shows and changes nothing of anybody's. */
  readonly action: AuditAction | 'none';
  /** Whether the answer shows something personal, where the action alone does not tell. */
  readonly shows?: boolean;
  /** Whether the part that does the work audits what succeeds, with the ids that only it knows. What is refused is audited here all the same. */
  readonly auditedBelow?: boolean;
}

declare module 'fastify' {
  interface FastifyContextConfig extends Partial<Policy> {}
}

/** Actions by which somebody sees what is personal or what is being worked on: audited before the answer leaves, or nothing is shown. */
const SHOWING = new Set<AuditAction | 'none'>([
  'inbox.viewed',
  'notification.viewed',
  'person.viewed',
  'person.exported',
  'preview.viewed',
  'queues.viewed',
  'audit.viewed',
]);

/** Whether an answer may leave only once its record is kept. */
export const isShowing = ({ action = 'none', shows = SHOWING.has(action) }: Partial<Policy>): boolean => shows;

/** A route and its policy. */
export interface Route extends Policy {
  readonly method: string;
  readonly url: string;
}

/**
 * Lets the server start only if every route says who may use it and how that is audited.
 * @returns the routes there are; to be asked once the server has started.
 */
export function requirePolicies(server: Pick<Server, 'addHook'>): () => readonly Route[] {
  const registered: { readonly method: string | readonly string[]; readonly url: string; readonly config?: Partial<Policy> }[] = [];
  // Looked at when all are there: the routes of the queue board get theirs by a hook that runs after this one.
  server.addHook('onRoute', (route) => {
    registered.push(route);
  });
  const all = () =>
    registered.flatMap(({ method, url, config: { access, action, ...rest } = {} }) => {
      if (access === undefined || action === undefined) {
        throw new CarillonError('INTERNAL', { message: `${method} ${url}: the route does not say who may use it` });
      }
      return [method].flat().map((verb): Route => ({ method: verb, url, access, action, ...rest }));
    });
  server.addHook('onReady', async () => {
    all();
  });
  return all;
}
