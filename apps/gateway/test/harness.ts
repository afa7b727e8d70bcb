import { randomUUID } from 'node:crypto';
import { createTokenIssuer, createTokenVerifier } from '@carillon/access';
import type { AuditEvent } from '@carillon/audit';
import type { ChannelItem } from '@carillon/contracts';
import { createMemoryInbox, type Inbox } from '@carillon/inbox';
import { noLog, noMetrics } from '@carillon/service';
import { TestClient } from '@carillon/testkit';
import { createGateway, type GatewayOptions, type GatewayParts, listen } from '../src/index.js';

const jwtSecret = 'the secret of these tests';
const issuer = createTokenIssuer({ jwtSecret });
const verifier = createTokenVerifier({ jwtSecret });

/** A token for a user that lives `ttlSeconds`. */
export const tokenFor = async (userId: string, ttlSeconds = 600) => (await issuer.issue(userId, ttlSeconds)).token;

export function memoryInbox(): Inbox {
  return createMemoryInbox({ maxItems: 500, retention: 86_400_000 });
}

/** One rendered notification. */
export function item(userId: string, body = 'the body'): ChannelItem {
  const common = { templateId: 't', priority: 'normal', channels: ['in_app'], createdAt: Date.now() } as const;
  return { ...common, channels: [...common.channels], id: randomUUID(), userId, content: { title: 'a title', body }, data: {} };
}

/** A gateway that listens on a free port. */
export async function startGateway(given: { inbox?: Inbox; options?: Partial<GatewayOptions>; parts?: Partial<GatewayParts> } = {}) {
  const inbox = given.inbox ?? memoryInbox();
  const closeCodes: number[] = [];
  const audited: AuditEvent[] = [];
  const gateway = createGateway(
    {
      inbox,
      verify: verifier.verify,
      revocations: { since: async (userIds) => userIds.map(() => 0) },
      audit: { note: (event) => void audited.push(event) },
      markAsRead: inbox.markAsRead,
      markAllAsRead: inbox.markAllAsRead,
      seats: { take: async () => true, giveBack() {} },
      log: noLog,
      metrics: { ...noMetrics, connectionClosed: (code) => closeCodes.push(code) },
      ...given.parts,
    },
    given.options,
  );
  const listener = await listen(gateway, { port: 0, host: '127.0.0.1' });
  const url = `ws://127.0.0.1:${listener.port}`;
  const clients: TestClient[] = [];
  const connect = async () => {
    const client = await TestClient.connect(url);
    clients.push(client);
    return client;
  };
  return {
    gateway,
    inbox,
    listener,
    url,
    /** Codes of connections closed so far, as metrics hear them. */
    closeCodes,
    /** What was noted for the audit trail so far. */
    audited,
    connect,
    /** A client that has authenticated, with the answer it got. */
    async signIn(userId: string, position: { epoch?: string; offset?: number } = {}) {
      const client = await connect();
      const answer = await client.authenticate(await tokenFor(userId), position);
      return { client, answer };
    },
    /** Puts notifications into a user's inbox and gives their ids. */
    async append(userId: string, count = 1, body?: string) {
      const items = Array.from({ length: count }, () => item(userId, body));
      await inbox.append(items);
      return items.map((one) => one.id);
    },
    async stop() {
      for (const client of clients) client.socket.terminate();
      await listener.close();
      await gateway.close({ deadlineMs: 2000 });
    },
  };
}
