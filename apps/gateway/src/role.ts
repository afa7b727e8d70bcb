import { createRevocations, createTokenVerifier } from '@carillon/access';
import type { Inbox } from '@carillon/inbox';
import type { Redis } from '@carillon/redis';
import type { Config, Deferred } from '@carillon/service';
import { createGateway, type Gateway } from './gateway.js';
import type { GatewayParts } from './parts.js';

/** Time clients have to answer the close of their sockets at shutdown, ms. */
const SOCKETS_DEADLINE_MS = 5000;

/** What the gateway role of a process is built from. */
export interface GatewayRoleParts extends Pick<GatewayParts, 'audit' | 'log' | 'metrics'> {
  readonly config: Config & { readonly jwtSecret: string };
  /** A `prompt` connection, and the inbox on it. */
  readonly redis: Redis;
  readonly inbox: Inbox;
  readonly defer: Deferred['defer'];
}

/** A gateway over an inbox for the client tokens of the configuration, closed through `defer`. @throws CONFIGURATION_INVALID */
export function openGateway({ config, redis, inbox, audit, log, metrics, defer }: GatewayRoleParts): Gateway {
  const { jwtSecret, jwtIssuer: issuer, jwtAudience: audience, jwtUserClaim: userClaim } = config;
  const { verify } = createTokenVerifier({ jwtSecret, issuer, audience, userClaim });
  const { markAsRead, markAllAsRead } = inbox;
  const revocations = createRevocations(redis);
  const gateway = createGateway({ inbox, verify, revocations, markAsRead, markAllAsRead, audit, log, metrics });
  defer('gateway', () => gateway.close({ deadlineMs: SOCKETS_DEADLINE_MS }));
  return gateway;
}
