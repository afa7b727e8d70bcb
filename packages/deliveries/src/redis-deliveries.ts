import { CarillonError, type ChannelName, type DeliveryStatus } from '@carillon/contracts';
import { type Call, loadScript, type Redis, type Script } from '@carillon/redis';
import type { Deliveries, Delivery, NewRecord, NotificationRecord } from './deliveries.js';
import { deliveryRank, rollUp } from './roll-up.js';

/** How long an idempotency key is remembered, ms. */
const IDEMPOTENCY_WINDOW_MS = 7 * 24 * 3600 * 1000;

const createScript = loadScript(new URL('../lua/create.lua', import.meta.url));
const claimScript = loadScript(new URL('../lua/claim.lua', import.meta.url));
const noteScript = loadScript(new URL('../lua/note.lua', import.meta.url));
const noteOnceScript = loadScript(new URL('../lua/note-once.lua', import.meta.url));

/** The first line of a record. */
type About = Pick<NewRecord, 'userId' | 'templateId' | 'templateVersion' | 'channels' | 'createdAt'>;

/** What a line `<channel>:<status> <json>` tells of a step. */
interface Step {
  readonly at: number;
  readonly attempts: number;
  readonly reason?: string;
  readonly provider?: string;
  readonly providerMessageId?: string;
}

/** The line that says that the notification was read. */
const READ = 'read';

/** Records in Redis, kept for `retention` ms. A record is a text of lines that only grows; see `create.lua`. */
export function createDeliveries({ redis, retention }: { redis: Redis; retention: number }): Deliveries {
  const note = (script: Script, lines: readonly { id: string; line: string }[]) =>
    redis.batch(
      script,
      [],
      lines.map(({ id, line }): Call => ({ keys: [redis.keys.delivery(id)], args: [line] })),
    );
  return {
    create: (records) =>
      redis.batch(
        createScript,
        [retention],
        records.map((record): Call => ({ keys: [redis.keys.delivery(record.id)], args: [firstLine(record)] })),
      ),
    claim: (claims) =>
      redis.batch(
        claimScript,
        [IDEMPOTENCY_WINDOW_MS],
        claims.map(({ id, requestHash }): Call => ({ keys: [redis.keys.idempotency(id)], args: [requestHash] })),
      ),
    async wasQueued({ id, requestHash }) {
      return (await redis.command<string | null>('GET', redis.keys.idempotency(id))) === `${requestHash}:queued`;
    },
    async markQueued(claims) {
      await Promise.all(
        claims.map(({ id, requestHash }) =>
          redis.command('SET', redis.keys.idempotency(id), `${requestHash}:queued`, 'PX', IDEMPOTENCY_WINDOW_MS),
        ),
      );
    },
    settle(steps) {
      const at = Date.now();
      return note(
        noteScript,
        steps.map(({ id, channel, status, ...rest }) => {
          const step: Step = { at, ...rest };
          return { id, line: `${channel}:${status} ${JSON.stringify(step)}` };
        }),
      );
    },
    async markRead(ids) {
      const outcomes = await note(
        noteOnceScript,
        ids.map((id) => ({ id, line: READ })),
      );
      for (const outcome of outcomes) if (!outcome.ok) throw outcome.error;
    },
    async get(id) {
      const text = await redis.command<string | null>('GET', redis.keys.delivery(id));
      const record = text === null ? undefined : toRecord(id, text.split('\n'));
      if (!record) throw new CarillonError('NOTIFICATION_NOT_FOUND', { field: 'id', id });
      return record;
    },
  };
}

function firstLine({ userId, templateId, templateVersion, channels, createdAt }: NewRecord): string {
  const about: About = { userId, templateId, templateVersion, channels, createdAt };
  return JSON.stringify(about);
}

function toRecord(id: string, lines: readonly string[]): NotificationRecord | undefined {
  const first = lines.find((line) => line.startsWith('{'));
  // Steps of a record whose first line never came, or is gone with its retention.
  if (first === undefined) return undefined;
  const { userId, templateId, templateVersion, channels, createdAt } = JSON.parse(first) as About;
  const deliveries = channels.map((channel) => toDelivery(channel, createdAt, lines));
  const statuses = deliveries.map(({ status }) => status);
  return { id, userId, templateId, templateVersion, status: rollUp(statuses, lines.includes(READ)), createdAt, deliveries };
}

/** Reads a delivery's steps in the order in which they came; one that is no step forward leaves the status as it is. */
function toDelivery(channel: ChannelName, createdAt: number, lines: readonly string[]): Delivery {
  let status: DeliveryStatus = 'pending';
  let last: Step = { at: createdAt, attempts: 0 };
  const times: Delivery['times'] = { pending: createdAt };
  for (const line of lines) {
    if (!line.startsWith(`${channel}:`)) continue;
    const space = line.indexOf(' ');
    const reached = line.slice(channel.length + 1, space) as DeliveryStatus;
    const step = JSON.parse(line.slice(space + 1)) as Step;
    times[reached] ??= step.at;
    const ahead = deliveryRank[reached] - deliveryRank[status];
    // The same status again (a further attempt) brings its own details; of two endings of one rank the first stands.
    if (ahead > 0 || reached === status) [status, last] = [reached, step];
  }
  const { attempts, reason = null, provider = null, providerMessageId = null } = last;
  return { channel, status, reason, attempts, provider, providerMessageId, times };
}
