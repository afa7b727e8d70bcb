import { CarillonError, type ChannelName, type DeliveryStatus } from '@carillon/contracts';
import { type Call, loadScript, type Outcome, type Redis } from '@carillon/redis';
import type { Deliveries, Delivery, NewRecord, NotificationRecord } from './deliveries.js';
import { deliveryRank, rollUp } from './roll-up.js';

/** How long an idempotency key is remembered, ms. */
export const IDEMPOTENCY_WINDOW_MS = 7 * 24 * 3600 * 1000;

const createScript = loadScript(new URL('../lua/create.lua', import.meta.url));
const setFieldScript = loadScript(new URL('../lua/set-field.lua', import.meta.url));

/** What is stored of one status a delivery has had, under the field `<channel>:<status>`. */
interface Step {
  at: number;
  attempts: number;
  reason?: string;
  provider?: string;
  providerMessageId?: string;
}

/** Records in Redis, kept for `retention` ms. */
export function createDeliveries({ redis, retention }: { redis: Redis; retention: number }): Deliveries {
  const keysOf = (id: string) => [redis.keys.delivery(id), redis.keys.idempotency(id)];
  return {
    create: (records) =>
      redis.batch(
        createScript,
        [retention, IDEMPOTENCY_WINDOW_MS],
        records.map((record): Call => ({ keys: keysOf(record.id), args: recordArguments(record) })),
      ),
    async markQueued(records) {
      await Promise.all(
        records.map((record) =>
          redis.command('SET', redis.keys.idempotency(record.id), `${record.requestHash}:queued`, 'PX', IDEMPOTENCY_WINDOW_MS),
        ),
      );
    },
    settle(steps) {
      const at = Date.now();
      const calls = steps.map(({ id, channel, status, ...rest }): Call => {
        const step: Step = { at, ...rest };
        return { keys: [redis.keys.delivery(id)], args: [`${channel}:${status}`, JSON.stringify(step)] };
      });
      return redis.batch(setFieldScript, [], calls);
    },
    async markRead(ids) {
      const outcomes = await redis.batch(
        setFieldScript,
        [],
        ids.map((id): Call => ({ keys: [redis.keys.delivery(id)], args: ['read', Date.now()] })),
      );
      throwFirst(outcomes);
    },
    async get(id) {
      const fields = await redis.command<string[]>('HGETALL', redis.keys.delivery(id));
      if (fields.length === 0) throw new CarillonError('NOTIFICATION_NOT_FOUND', { field: 'id', id });
      return toRecord(id, pairs(fields));
    },
  };
}

function recordArguments({ userId, templateId, templateVersion, channels, createdAt, requestHash }: NewRecord) {
  return [userId, templateId, templateVersion, channels.join(','), createdAt, requestHash ?? ''];
}

function pairs(flat: string[]): Map<string, string> {
  const map = new Map<string, string>();
  for (let i = 0; i < flat.length; i += 2) map.set(flat[i] as string, flat[i + 1] as string);
  return map;
}

function throwFirst(outcomes: Outcome<unknown>[]): void {
  for (const outcome of outcomes) if (!outcome.ok) throw outcome.error;
}

function toRecord(id: string, fields: Map<string, string>): NotificationRecord {
  const text = (name: string) => fields.get(name) ?? '';
  const createdAt = Number(text('createdAt'));
  const deliveries = text('channels')
    .split(',')
    .map((channel) => toDelivery(channel as ChannelName, createdAt, fields));
  return {
    id,
    userId: text('userId'),
    templateId: text('templateId'),
    templateVersion: text('templateVersion'),
    status: rollUp(
      deliveries.map((delivery) => delivery.status),
      fields.has('read'),
    ),
    createdAt,
    deliveries,
  };
}

function toDelivery(channel: ChannelName, createdAt: number, fields: Map<string, string>): Delivery {
  let status: DeliveryStatus = 'pending';
  let last: Step = { at: createdAt, attempts: 0 };
  let lastOrder = 0;
  const times: Delivery['times'] = { pending: createdAt };
  for (const known of Object.keys(deliveryRank) as DeliveryStatus[]) {
    const stored = fields.get(`${channel}:${known}`);
    if (!stored) continue;
    const bar = stored.indexOf('|');
    const order = Number(stored.slice(0, bar));
    const step = JSON.parse(stored.slice(bar + 1)) as Step;
    times[known] = step.at;
    const ahead = deliveryRank[known] - deliveryRank[status];
    // Among statuses that end a delivery without success the first one stands.
    if (ahead > 0 || (ahead === 0 && order < lastOrder)) [status, last, lastOrder] = [known, step, order];
  }
  const { attempts, reason = null, provider = null, providerMessageId = null } = last;
  return { channel, status, reason, attempts, provider, providerMessageId, times };
}
