import { createRevocations, createTokenVerifier } from '@carillon/access';
import type { CarillonError } from '@carillon/contracts';
import type { Inbox } from '@carillon/inbox';
import type { Redis } from '@carillon/redis';
import { type Config, type Deferred, openTls } from '@carillon/service';
import { createGateway, type Gateway } from './gateway.js';
import type { GatewayOptions, GatewayParts } from './parts.js';
import { createSeats } from './seats.js';

/** Time clients have to answer the close of their sockets at shutdown, ms. */
const SOCKETS_DEADLINE_MS = 12_000;

/** What the gateway role of a process is built from. */
export interface GatewayRoleParts extends Pick<GatewayParts, 'audit' | 'log' | 'metrics'> {
  readonly config: Config;
  /** A `prompt` connection, and the inbox on it. */
  readonly redis: Redis;
  readonly inbox: Inbox;
  readonly defer: Deferred['defer'];
}

/** A gateway over an inbox for the client tokens of the configuration, served with TLS if there is a certificate, closed through `defer`. @throws CONFIGURATION_INVALID */
export function openGateway({ config, redis, inbox, audit, log, metrics, defer }: GatewayRoleParts): Gateway {
  const { jwtSecret, jwksUrl, jwtIssuer: issuer, jwtAudience: audience, jwtUserClaim: userClaim } = config;
  const keysUnavailable = (error: CarillonError) => log.warn('the keys of the token issuer cannot be fetched', { error });
  const { verify } = createTokenVerifier({ jwtSecret, jwksUrl, issuer, audience, userClaim, keysUnavailable });
  const { markAsRead, markAllAsRead } = inbox;
  const revocations = createRevocations(redis);
  const tls = openTls(config, log);
  if (tls) defer('gateway certificate', async () => tls.close());
  const seats = createSeats(redis, config.connectionsPerUser);
  defer('seats', seats.close);
  const gateway = createGateway(
    { inbox, verify, revocations, markAsRead, markAllAsRead, seats, audit, log, metrics },
    { ...limitsOf(config), tls },
  );
  defer('gateway', () => gateway.close({ deadlineMs: SOCKETS_DEADLINE_MS }));
  return gateway;
}

/** Limits by the configuration. Where origins are listed, the page of the HTTP interface is one of them, unasked. */
function limitsOf(config: Config): Partial<GatewayOptions> {
  const { connectionsPerAddress, rateConnections, rateHandshakes, rateMessages, trustProxy, allowedOrigins, tlsCert } = config;
  const { publicUrl = `${tlsCert === undefined ? 'http' : 'https'}://localhost:${config.httpPort}` } = config;
  const origins = allowedOrigins && [...allowedOrigins, new URL(publicUrl).origin];
  return { connectionsPerAddress, rateConnections, rateHandshakes, rateMessages, trustProxy, allowedOrigins: origins };
}
