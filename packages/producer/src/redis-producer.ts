import { randomBytes } from 'node:crypto';
import {
  CarillonError,
  type ChannelName,
  DATA_MAX_BYTES,
  type NotificationRequest,
  notificationRequestSchema,
  parse,
  type RenderItem,
  toCarillonError,
} from '@carillon/contracts';
import type { Deliveries, NewRecord } from '@carillon/deliveries';
import {
  type Committed,
  createGroupCommit,
  createStageQueue,
  JOB_MAX_BYTES,
  newJobId,
  partitionOf,
  queueName,
  renderStage,
} from '@carillon/queue';
import { type Redis, replyCode } from '@carillon/redis';
import type { Templates } from '@carillon/templates';
import { keyedHash, type Vault } from '@carillon/vault';
import { v7 as uuidv7 } from 'uuid';
import type { Producer, QueueResult } from './producer.js';

/** Jobs of one partition and priority on their way to Redis at once: enough to hide the round trip, few enough that callers gather. */
const ADDS_IN_FLIGHT = 4;
/** Bytes of notifications that may wait in this process for Redis to take them. */
const MAX_WAITING_BYTES = 64 * 1024 * 1024;
/** What an item has besides its data, bytes, about. */
const ITEM_OVERHEAD_BYTES = 400;
/** Pause suggested while Redis has no memory left, ms. */
const FULL_RETRY_MS = 1000;
/** The caller of who uses the library without naming one. */
const DEFAULT_CALLER = 'library';

interface Accepted {
  readonly item: RenderItem;
  readonly record: NewRecord;
}

export interface ProducerParts {
  /** A `prompt` connection: whoever waits for the answer must hear at once that Redis is away. */
  readonly redis: Redis;
  readonly vault: Vault;
  readonly templates: Templates;
  readonly deliveries: Deliveries;
  readonly partitions: number;
}

/** A producer. Close it when done; the parts stay open. @throws REDIS_UNAVAILABLE, SEAL_BROKEN (other encryption keys than before) */
export async function createProducer(parts: ProducerParts): Promise<Producer> {
  const secret = await installationSecret(parts.redis, parts.vault);
  const stages = Array.from({ length: parts.partitions }, (_, partition) =>
    createStageQueue(parts, renderStage, queueName(renderStage.name, partition)),
  );
  const commits = createGroupCommit<Accepted, string>(
    { maxItems: renderStage.itemsPerJob, maxBytes: JOB_MAX_BYTES, maxInFlight: ADDS_IN_FLIGHT, maxWaitingBytes: MAX_WAITING_BYTES },
    (lane, accepted) => commit(parts, stages[Number(lane.split(' ', 1)[0])] as (typeof stages)[number], accepted),
  );
  let closed = false;

  const queueAs = async (caller: string, request: NotificationRequest): Promise<string> => {
    if (closed) throw new CarillonError('SERVICE_CLOSED');
    const { accepted, bytes } = await accept(parts.templates, secret, caller, request);
    const lane = `${partitionOf(accepted.item.userId, parts.partitions)} ${accepted.item.priority}`;
    const result = await commits.add(lane, accepted, bytes);
    if (!result.ok) throw result.error;
    return result.value;
  };
  const as = (caller: string) => ({
    queueNotification: (request: NotificationRequest) => queueAs(caller, request),
    queueNotifications: (requests: readonly NotificationRequest[]) =>
      Promise.all(
        requests.map((request) =>
          queueAs(caller, request).then(
            (id): QueueResult => ({ ok: true, id }),
            (error): QueueResult => ({ ok: false, error: toCarillonError(error) }),
          ),
        ),
      ),
  });

  return {
    ...as(DEFAULT_CALLER),
    as,
    async close() {
      closed = true;
      await commits.idle();
      await Promise.all(stages.map(({ queue }) => queue.close()));
    },
  };
}

/** Reads a request and decides all that can be decided before Redis is asked: template version, channels, id. */
async function accept(
  templates: Templates,
  secret: Buffer,
  caller: string,
  input: NotificationRequest,
): Promise<{ accepted: Accepted; bytes: number }> {
  const request = parse(notificationRequestSchema, input);
  const { idempotencyKey, ...body } = request;
  const dataBytes = Buffer.byteLength(JSON.stringify(body.data));
  if (dataBytes > DATA_MAX_BYTES)
    throw new CarillonError('FIELD_INVALID', { field: 'data', message: `data: must be at most ${DATA_MAX_BYTES} bytes of JSON` });

  const { definition, version, check } = await templates.current(body.templateId).catch((error) => {
    throw unavailable(error);
  });
  check(body.data);
  const channels = allowedChannels(body.channels, definition.channels);
  const id = idempotencyKey === undefined ? uuidv7() : keyedId(secret, caller, idempotencyKey);
  const createdAt = Date.now();
  const category = body.category ?? definition.category;
  const item: RenderItem = {
    ...body,
    id,
    templateVersion: version,
    channels,
    priority: body.priority ?? definition.priority ?? 'normal',
    ...(category !== undefined && { category }),
    createdAt,
  };
  const record: NewRecord = {
    id,
    userId: body.userId,
    templateId: body.templateId,
    templateVersion: version,
    channels,
    createdAt,
    ...(idempotencyKey !== undefined && { requestHash: keyedHash(secret, 'request', canonical(body)).toString('base64url') }),
  };
  return { accepted: { item, record }, bytes: dataBytes + ITEM_OVERHEAD_BYTES };
}

function allowedChannels(wanted: ChannelName[] | undefined, offered: ChannelName[]): ChannelName[] {
  const missing = wanted?.find((channel) => !offered.includes(channel));
  if (missing)
    throw new CarillonError('FIELD_INVALID', { field: 'channels', message: `channels: the template is not made for ${missing}` });
  return wanted ?? offered;
}

/** Records first, so that a status exists when the id does; then one job. */
async function commit(
  { redis, deliveries }: ProducerParts,
  stage: ReturnType<typeof createStageQueue<RenderItem>>,
  accepted: Accepted[],
): Promise<Committed<string>[]> {
  if (!redis.isReady()) return accepted.map(() => refused(new CarillonError('QUEUE_UNAVAILABLE')));
  const written = await deliveries.create(accepted.map(({ record }) => record));
  const fresh = accepted.filter((_, i) => written[i]?.ok && written[i].value === 'created');
  const failure = await add(
    redis,
    stage,
    fresh.map(({ item }) => item),
  );
  if (!failure) {
    const keyed = fresh.flatMap(({ record }) => (record.requestHash === undefined ? [] : [record]));
    // Should this be lost, a repeat queues the same id again, and every stage knows an id it has done.
    await deliveries.markQueued(keyed).catch(() => {});
  }
  return accepted.map(({ item: { id } }, i): Committed<string> => {
    const outcome = written[i];
    if (!outcome?.ok) return refused(outcome && unavailable(outcome.error));
    if (outcome.value === 'mismatch') return refused(new CarillonError('IDEMPOTENCY_MISMATCH', { field: 'idempotencyKey', id }));
    if (outcome.value === 'queued' || !failure) return { ok: true, value: id };
    return refused(failure(id));
  });
}

/** To a caller who queues, Redis away means: not queued. */
function unavailable(error: unknown): CarillonError {
  const known = toCarillonError(error);
  return known.code === 'REDIS_UNAVAILABLE' ? new CarillonError('QUEUE_UNAVAILABLE', { cause: known }) : known;
}

function refused(error: CarillonError | undefined): Committed<string> {
  return { ok: false, error: error ?? new CarillonError('INTERNAL') };
}

/** Adds one job; answers undefined, or how the failure is told for an id. */
async function add(
  redis: Redis,
  stage: ReturnType<typeof createStageQueue<RenderItem>>,
  items: RenderItem[],
): Promise<((id: string) => CarillonError) | undefined> {
  if (items.length === 0) return undefined;
  if (!redis.isReady()) return () => new CarillonError('QUEUE_UNAVAILABLE');
  try {
    await stage.add(items, { jobId: newJobId() });
    return undefined;
  } catch (cause) {
    const code = replyCode(cause);
    if (code === 'OOM' || code === 'MISCONF') return () => new CarillonError('QUEUE_FULL', { cause, retryAfter: FULL_RETRY_MS });
    if (code !== undefined) return () => new CarillonError('QUEUE_UNAVAILABLE', { cause });
    return (id) => new CarillonError('QUEUE_OUTCOME_UNKNOWN', { cause, id });
  }
}

/** JSON in which equal objects are equal text. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}

/** A UUID of version 8 (RFC 9562, custom) from a keyed hash: the same for the same caller and key, telling nothing of either. */
function keyedId(secret: Buffer, caller: string, key: string): string {
  const bytes = keyedHash(secret, 'idempotency', caller, key).subarray(0, 16);
  bytes[6] = ((bytes[6] as number) & 0x0f) | 0x80;
  bytes[8] = ((bytes[8] as number) & 0x3f) | 0x80;
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

/** The secret behind keyed ids: made once per installation, kept sealed, so that it outlives a change of encryption keys. */
async function installationSecret(redis: Redis, vault: Vault): Promise<Buffer> {
  await redis.command('SET', redis.keys.installation, vault.seal('installation', '', randomBytes(32).toString('base64')), 'NX');
  const sealed = await redis.command<string>('GET', redis.keys.installation);
  return Buffer.from(vault.open('installation', '', sealed), 'base64');
}
