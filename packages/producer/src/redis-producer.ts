import { randomFillSync } from 'node:crypto';
import { type Actor, type Audit, noAudit } from '@carillon/audit';
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
import type { Claim, Deliveries, NewRecord } from '@carillon/deliveries';
import {
  type Committed,
  createGroupCommit,
  createStageQueue,
  JOB_MAX_BYTES,
  newJobId,
  type Packed,
  pack,
  partitionOf,
  queueName,
  renderStage,
  type StageQueue,
} from '@carillon/queue';
import { type Redis, redisError, replyCode } from '@carillon/redis';
import type { Templates } from '@carillon/templates';
import type { PersonKey, Vault } from '@carillon/vault';
import { v7 as uuidv7 } from 'uuid';
import type { z } from 'zod';
import { cancel } from './cancel.js';
import type { CancelTarget, Producer, QueueResult } from './producer.js';

/** Jobs of one partition and priority on their way to Redis at once: enough to hide the round trip, few enough that callers gather. */
const ADDS_IN_FLIGHT = 4;
/** Bytes of notifications that may wait in this process for Redis to take them. */
const MAX_WAITING_BYTES = 64 * 1024 * 1024;
/** Who uses the library without naming a caller: this very process. */
const LIBRARY: Actor = { type: 'system', name: 'library' };

interface Accepted {
  readonly actor: Actor;
  readonly packed: Packed<RenderItem>;
  readonly record: NewRecord;
  /** Hash of the request, if its id comes from an idempotency key. */
  readonly requestHash: string | undefined;
}

export interface ProducerParts {
  /** A `prompt` connection: whoever waits for the answer must hear at once that Redis is away. */
  readonly redis: Redis;
  readonly vault: Vault;
  readonly templates: Templates;
  readonly deliveries: Deliveries;
  readonly partitions: number;
  /** Hears who queued what and who canceled it; nobody unless told. */
  readonly audit?: Audit | undefined;
}

/** A producer. Close it when done; the parts stay open. */
export function createProducer(parts: ProducerParts): Producer {
  const { vault } = parts;
  const stages = Array.from({ length: parts.partitions }, (_, partition) =>
    createStageQueue(parts, renderStage, queueName(renderStage.name, partition)),
  );
  const commits = createGroupCommit<Accepted, string>(
    {
      maxItems: renderStage.itemsPerJob(undefined),
      maxBytes: JOB_MAX_BYTES,
      maxInFlight: ADDS_IN_FLIGHT,
      maxWaitingBytes: MAX_WAITING_BYTES,
    },
    (lane, accepted) => commit(parts, stages[Number(lane.split(' ', 1)[0])] as StageQueue<RenderItem>, accepted),
  );
  let closed = false;

  const queueAs = async (actor: Actor, request: NotificationRequest): Promise<string> => {
    if (closed) throw new CarillonError('SERVICE_CLOSED');
    const asked = read(vault, actor.name, request);
    const accepted = await accept(parts, actor, asked).catch((error: CarillonError) => {
      // Nothing was queued yet, and what cannot be reached is what was closed behind us.
      throw closed && error.verdict !== 'never' ? new CarillonError('SERVICE_CLOSED') : error;
    });
    if (accepted === undefined) return asked.id;
    if (closed) throw new CarillonError('SERVICE_CLOSED');
    const { item, json } = accepted.packed;
    const result = await commits.add(`${partitionOf(item.userId, parts.partitions)} ${item.priority}`, accepted, Buffer.byteLength(json));
    if (!result.ok) throw result.error;
    return result.value;
  };
  const cancelAs = async (actor: Actor, target: string | CancelTarget) => {
    if (closed) throw new CarillonError('SERVICE_CLOSED');
    return cancel(parts, (key) => cancellationHash(vault, key), actor, target).catch((error) => {
      throw unavailable(error);
    });
  };
  const verbs = (actor: Actor) => ({
    cancel: (target: string | CancelTarget) => cancelAs(actor, target),
    queueNotification: (request: NotificationRequest) => queueAs(actor, request),
    queueNotifications: async (requests: readonly NotificationRequest[]) => {
      if (!Array.isArray(requests)) throw new CarillonError('FIELD_INVALID', { message: 'must be a list of notifications' });
      return Promise.all(
        requests.map((request) =>
          queueAs(actor, request).then(
            (id): QueueResult => ({ ok: true, id }),
            (error): QueueResult => ({ ok: false, error: toCarillonError(error) }),
          ),
        ),
      );
    },
  });

  return {
    ...verbs(LIBRARY),
    as: (caller, type = 'key') => verbs({ type, name: caller }),
    async close() {
      closed = true;
      await commits.idle();
      await Promise.all(stages.map(({ queue }) => queue.close()));
    },
  };
}

/** A request, read and copied, with the id it will have. */
interface Asked {
  readonly id: string;
  readonly body: Omit<z.output<typeof notificationRequestSchema>, 'idempotencyKey' | 'cancellationKey'>;
  /** Hash of the request, if its id comes from an idempotency key. */
  readonly requestHash: string | undefined;
  /** Hash of its cancellation key, if it has one. */
  readonly cancellationHash: string | undefined;
}

/** The name under which a cancellation key is stored: it may tell of people and what they come for. */
function cancellationHash(vault: Vault, key: string): string {
  return vault.hash('cancellation', key).toString('base64url');
}

/** Reads a request before anything is awaited, and copies it: the caller may use its object for the next one. */
function read(vault: Vault, caller: string, input: NotificationRequest): Asked {
  const { idempotencyKey, cancellationKey, data, ...rest } = parse(notificationRequestSchema, input);
  const json = JSON.stringify(data);
  if (Buffer.byteLength(json) > DATA_MAX_BYTES) {
    throw new CarillonError('FIELD_INVALID', { field: 'data', message: `data: must be at most ${DATA_MAX_BYTES} bytes of JSON` });
  }
  const body = { ...rest, data: JSON.parse(json) as typeof data };
  const hash = cancellationKey === undefined ? undefined : cancellationHash(vault, cancellationKey);
  if (idempotencyKey === undefined) return { id: newId(), body, requestHash: undefined, cancellationHash: hash };
  const whole = cancellationKey === undefined ? body : { ...body, cancellationKey };
  const requestHash = vault.hash('request', canonical(whole)).toString('base64url');
  return { id: keyedId(vault, caller, idempotencyKey), body, requestHash, cancellationHash: hash };
}

/**
 * Decides what can be decided before the queue is asked: template version, channels, priority. Undefined for what was queued before
 * under the same key, whatever has become of its template since.
 */
async function accept({ templates, deliveries, vault }: ProducerParts, actor: Actor, asked: Asked): Promise<Accepted | undefined> {
  try {
    return { actor, ...(await prepare(templates, vault, asked)) };
  } catch (thrown) {
    const { id, requestHash } = asked;
    if (requestHash !== undefined && (await deliveries.wasQueued({ id, requestHash }).catch(() => false))) return undefined;
    throw unavailable(thrown);
  }
}

async function prepare(
  templates: Templates,
  vault: Vault,
  { id, body, requestHash, cancellationHash }: Asked,
): Promise<Omit<Accepted, 'actor'>> {
  const { definition, version, check } = await templates.current(body.templateId);
  check(body.data);
  const key = await keyOf(vault, body.userId);
  const channels = allowedChannels(body.channels, definition.channels);
  const createdAt = Date.now();
  const category = body.category ?? definition.category;
  const { to: inline, ...rest } = body;
  const { userId, templateId } = body;
  const priority = body.priority ?? definition.priority ?? 'normal';
  const item: RenderItem = {
    ...rest,
    ...(inline !== undefined && { inline }),
    id,
    templateVersion: version,
    channels,
    priority,
    ...(category !== undefined && { category }),
    createdAt,
  };
  const sealed = category === undefined ? undefined : key.seal('record', id, category);
  const record: NewRecord = { id, userId, templateId, templateVersion: version, channels, category: sealed, cancellationHash, createdAt };
  return { packed: pack(item), record, requestHash };
}

/** The key of whom it is for; one who was never told anything gets it now, and nobody is told anything while they are being erased. */
async function keyOf(vault: Vault, userId: string): Promise<PersonKey> {
  const key = await vault.person(userId, 'make');
  key.check();
  return key;
}

function allowedChannels(wanted: ChannelName[] | undefined, offered: ChannelName[]): ChannelName[] {
  const missing = wanted?.find((channel) => !offered.includes(channel));
  if (missing)
    throw new CarillonError('FIELD_INVALID', { field: 'channels', message: `channels: the template is not made for ${missing}` });
  return wanted ?? offered;
}

/** Writes records and one job, together in one round trip: a caller hears of its id when both are there. */
async function commit(
  { redis, deliveries, audit = noAudit }: ProducerParts,
  stage: StageQueue<RenderItem>,
  accepted: Accepted[],
): Promise<Committed<string>[]> {
  if (!redis.isReady()) return accepted.map(() => refused(new CarillonError('QUEUE_UNAVAILABLE')));
  // An idempotency key must first tell whether there is anything to do.
  const results = await decide(deliveries, accepted);
  const fresh = accepted.filter((entry) => !results.has(entry));
  const [failure, written] = await Promise.all([
    add(
      redis,
      stage,
      fresh.map(({ packed }) => packed),
    ),
    deliveries.create(fresh.map(({ record }) => record)),
  ]);
  // Should this be lost, a repeat queues the same id again, and every stage knows an id it has done.
  if (!failure) await deliveries.markQueued(claimsOf(fresh.filter((_, i) => written[i]?.ok))).catch(() => {});
  fresh.forEach((entry, i) => {
    const { id } = entry.record;
    const outcome = written[i];
    // Queued, but with no record to show for it.
    const unwritten = outcome?.ok === false ? new CarillonError('QUEUE_OUTCOME_UNKNOWN', { id, cause: outcome.error }) : undefined;
    const error = failure?.(id) ?? unwritten;
    results.set(entry, error ? refused(error) : { ok: true, value: id });
  });
  noteQueued(audit, fresh, results);
  return accepted.map((entry) => results.get(entry) as Committed<string>);
}

/** Tells of what is in the queue now, and of what may be: an answer that was lost is no reason to know nothing of it later. */
function noteQueued(audit: Audit, entries: readonly Accepted[], results: ReadonlyMap<Accepted, Committed<string>>): void {
  const sorts = new Map<string, Accepted[]>();
  for (const entry of entries) {
    const result = results.get(entry);
    const outcome = result?.ok ? 'ok' : 'QUEUE_OUTCOME_UNKNOWN';
    if (result?.ok === false && result.error.code !== outcome) continue;
    const sort = `${outcome} ${entry.actor.type} ${entry.actor.name}`;
    const same = sorts.get(sort);
    if (same) same.push(entry);
    else sorts.set(sort, [entry]);
  }
  for (const [sort, same] of sorts) {
    audit.note({
      actor: (same[0] as Accepted).actor,
      action: 'notification.queued',
      ids: same.map(({ record }) => record.id),
      users: same.map(({ record }) => record.userId),
      outcome: sort.startsWith('ok') ? 'ok' : 'QUEUE_OUTCOME_UNKNOWN',
    });
  }
}

function claimsOf(accepted: readonly Accepted[]): Claim[] {
  return accepted.flatMap(({ record: { id }, requestHash }) => (requestHash === undefined ? [] : [{ id, requestHash }]));
}

/** What is already known of requests with an idempotency key: those that were queued before, or must not be. */
async function decide(deliveries: Deliveries, accepted: readonly Accepted[]): Promise<Map<Accepted, Committed<string>>> {
  const decided = new Map<Accepted, Committed<string>>();
  const keyed = accepted.filter(({ requestHash }) => requestHash !== undefined);
  if (keyed.length === 0) return decided;
  for (const [i, outcome] of (await deliveries.claim(claimsOf(keyed))).entries()) {
    const entry = keyed[i] as Accepted;
    const { id } = entry.record;
    if (!outcome.ok) decided.set(entry, refused(unavailable(outcome.error)));
    else if (outcome.value === 'queued') decided.set(entry, { ok: true, value: id });
    else if (outcome.value === 'mismatch')
      decided.set(entry, refused(new CarillonError('IDEMPOTENCY_MISMATCH', { field: 'idempotencyKey', id })));
  }
  return decided;
}

/** How the failure of a job is told for one of its ids. */
type Failure = ((id: string) => CarillonError) | undefined;

function refused(error: CarillonError): Committed<string> {
  return { ok: false, error };
}

/** Redis away is, to who queues, a queue that cannot be reached. */
function unavailable(thrown: unknown): CarillonError {
  const error = toCarillonError(thrown);
  return error.code === 'REDIS_UNAVAILABLE' ? new CarillonError('QUEUE_UNAVAILABLE', { cause: error }) : error;
}

/** Adds one job; answers undefined, or how the failure is told for an id. */
async function add(redis: Redis, stage: StageQueue<RenderItem>, items: Packed<RenderItem>[]): Promise<Failure> {
  if (items.length === 0) return undefined;
  if (!redis.isReady()) return () => new CarillonError('QUEUE_UNAVAILABLE');
  try {
    await stage.add(items, { jobId: newJobId() });
    return undefined;
  } catch (cause) {
    // It could not even be sealed.
    if (cause instanceof CarillonError) return () => unavailable(cause);
    // What Redis itself refused was not queued; of what it did not answer nobody knows.
    if (replyCode(cause) === undefined) return (id) => new CarillonError('QUEUE_OUTCOME_UNKNOWN', { cause, id });
    const error = redisError(cause);
    return () => (error.code === 'QUEUE_FULL' ? error : new CarillonError('QUEUE_UNAVAILABLE', { cause }));
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

/** Bytes of randomness fetched at a time: one call per id would cost more than all else about it. */
const randomness = Buffer.alloc(16 * 1024);
let randomnessAt = randomness.length;
/** The last id's millisecond, and its count within it (32 bits, of which half are left to count). */
let sequenceMs = 0;
let sequence = 0;

/** A UUID of version 7 (RFC 9562): ids sort by the time they were made. */
function newId(): string {
  if (randomnessAt === randomness.length) {
    randomFillSync(randomness);
    randomnessAt = 0;
  }
  randomnessAt += 16;
  const random = randomness.subarray(randomnessAt - 16, randomnessAt);
  // Left to itself the library counts within a millisecond, but not with `random` given; ids sort what was created in the same one.
  const now = Date.now();
  sequence = now > sequenceMs ? random.readUInt32BE(6) >>> 1 : sequence + 1;
  sequenceMs = Math.max(now, sequenceMs);
  return uuidv7({ random, msecs: sequenceMs, seq: sequence });
}

/** A UUID of version 8 (RFC 9562, custom) from a keyed hash: the same for the same caller and key, telling nothing of either. */
function keyedId(vault: Vault, caller: string, key: string): string {
  const bytes = vault.hash('idempotency', caller, key).subarray(0, 16);
  bytes[6] = ((bytes[6] as number) & 0x0f) | 0x80;
  bytes[8] = ((bytes[8] as number) & 0x3f) | 0x80;
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}
