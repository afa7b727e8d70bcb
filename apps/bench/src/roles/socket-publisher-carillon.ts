// Publishes as Carillon does: the in-app worker's append of each item and its line in the audit trail. The queue before it and the claim and outcome in
// the record of deliveries are left out; the pipeline's bench has them. The gateway is the app's own main.
import { openAudit } from '@carillon/audit';
import { createInbox } from '@carillon/inbox';
import { createRedis } from '@carillon/redis';
import { connectVault } from '@carillon/vault';
import { argument, serveRole } from '../role.js';
import { publisherAsks } from '../sockets/publishing.js';

const DAY = 24 * 3600 * 1000;
/** The defaults of NOTIFICATION_INBOX_MAX, _RETENTION_INBOX and _RETENTION_AUDIT (ms). */
const LIMITS = { maxItems: 500, retention: 90 * DAY };
const RETENTION_AUDIT = 6 * 365 * DAY;
const PREFIX = 'notification:';

const redis = await createRedis({ url: argument('redisUrl') }, { prefix: PREFIX, temper: 'prompt' });
const audit = await openAudit({ redis, sink: 'redis', retention: RETENTION_AUDIT, writer: 'publisher' });
const settings = { encryptionKeys: argument('encryptionKeys'), redisPrefix: PREFIX };
const vault = await connectVault(settings, { redis, audit, defer: () => {} });
const inbox = createInbox({ redis, vault, limits: LIMITS });
const common = { templateId: 'appointment-reminder', priority: 'normal', channels: ['in_app'] } as const;
const actor = { type: 'system', name: 'in_app' } as const;
const about = { channel: 'in_app', status: 'delivered' };

serveRole(
  await publisherAsks(
    async (messages) => {
      const items = messages.map(({ id, userId, title, body, data, createdAt }) => {
        return { ...common, channels: [...common.channels], id, userId, content: { title, body }, data, createdAt };
      });
      const appended = await inbox.append(items);
      const failed = appended.find((one) => !one.ok || one.value !== 'stored');
      if (failed) throw new Error('an append failed', { cause: failed });
      audit.note({ actor, action: 'delivery.settled', ids: messages.map(({ id }) => id), about });
    },
    Number(argument('users')),
  ),
);
