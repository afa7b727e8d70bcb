import { createTokenVerifier } from '@carillon/access';
import type { Inbox } from '@carillon/inbox';
import type { Config, Deferred } from '@carillon/service';
import { createGateway, type Gateway } from './gateway.js';
import type { GatewayParts } from './parts.js';

/** Time clients have to answer the close of their sockets at shutdown, ms. */
const SOCKETS_DEADLINE_MS = 5000;

/** What the gateway role of a process is built from. */
export interface GatewayRoleParts extends Pick<GatewayParts, 'log' | 'metrics'> {
  readonly config: Config & { readonly jwtSecret: string };
  /** On a `prompt` connection. */
  readonly inbox: Inbox;
  readonly defer: Deferred['defer'];
}

/** A gateway over an inbox for the client tokens of the configuration, closed through `defer`. @throws CONFIGURATION_INVALID */
export function openGateway({ config, inbox, log, metrics, defer }: GatewayRoleParts): Gateway {
  const { jwtSecret, jwtIssuer: issuer, jwtAudience: audience, jwtUserClaim: userClaim } = config;
  const { verify } = createTokenVerifier({ jwtSecret, issuer, audience, userClaim });
  const { markAsRead, markAllAsRead } = inbox;
  const gateway = createGateway({ inbox, verify, markAsRead, markAllAsRead, log, metrics });
  defer('gateway', () => gateway.close({ deadlineMs: SOCKETS_DEADLINE_MS }));
  return gateway;
}
