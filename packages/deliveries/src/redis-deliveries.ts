import { createHash } from 'node:crypto';
import { CarillonError, type DeliveryStatus } from '@carillon/contracts';
import { type Call, loadScript, type Outcome, type Redis } from '@carillon/redis';
import {
  ANYBODY,
  type Begun,
  type Deliveries,
  type NewRecord,
  type Noted,
  type NotificationRecord,
  type ReceivedStep,
} from './deliveries.js';
import { firstLine, nameOf, READ, refOf, type Step, stepLine, toRecord } from './record.js';
import { OPEN } from './roll-up.js';
import { pageOf, recordsOf } from './timeline.js';

/** How long an idempotency key is remembered, ms. */
const IDEMPOTENCY_WINDOW_MS = 7 * 24 * 3600 * 1000;
/** How long a provider's report is known by its id, ms: SendGrid repeats what was not taken for a day. */
const RECEIPT_WINDOW_MS = 3 * 24 * 3600 * 1000;
/** Characters of base64url kept of the hash of a report's id: 144 bits. */
const EVENT_CHARACTERS = 24;

const script = (name: string) => loadScript(new URL(`../lua/${name}.lua`, import.meta.url));
const withSteps = (name: string) =>
  loadScript(new URL('../lua/steps.lua', import.meta.url), new URL(`../lua/${name}.lua`, import.meta.url));
const createScript = script('create');
const toldScript = script('told');
const claimScript = script('claim');
const noteScript = withSteps('note');
const noteOnceScript = script('note-once');
const receiveScript = script('receive');
const beginScript = withSteps('begin');
const cancelScript = withSteps('cancel');

/** Records in Redis, kept for `retention` ms; for their form see `record.ts`. */
export function createDeliveries({ redis, retention }: { redis: Redis; retention: number }): Deliveries {
  const { keys } = redis;
  return {
    create: (records) => create(redis, retention, records),
    claim: (claims) =>
      redis.batch(
        claimScript,
        [IDEMPOTENCY_WINDOW_MS],
        claims.map(({ id, requestHash }): Call => ({ keys: [keys.idempotency(id)], args: [requestHash] })),
      ),
    async wasQueued({ id, requestHash }) {
      return (await redis.command<string | null>('GET', keys.idempotency(id))) === `${requestHash}:queued`;
    },
    async markQueued(claims) {
      await Promise.all(
        claims.map(({ id, requestHash }) =>
          redis.command('SET', keys.idempotency(id), `${requestHash}:queued`, 'PX', IDEMPOTENCY_WINDOW_MS),
        ),
      );
    },
    async begin(attempts) {
      const at = Date.now();
      const calls = attempts.map(({ lease, open, by, ...ref }): Call => {
        const step: Step = { at, attempts: ref.attempts, until: at + lease, by };
        return { keys: [keys.delivery(ref.id)], args: [nameOf(ref), ref.channel, JSON.stringify(step).slice(0, -1), by, open] };
      });
      return (await redis.batch<string>(beginScript, [], calls)).map((outcome) =>
        outcome.ok ? { ok: true, value: toBegun(outcome.value) } : outcome,
      );
    },
    settle(steps) {
      const at = Date.now();
      const calls = steps.map(({ id, channel, address, status, by = '', ...detail }): Call => {
        const step: Step = { at, ...detail, ...(by !== '' && by !== ANYBODY && { by }) };
        return { keys: [keys.delivery(id)], args: [nameOf({ channel, address }), channel, status, JSON.stringify(step), by] };
      });
      return redis.batch<Noted>(noteScript, [], calls);
    },
    heard: (steps) => Promise.all(steps.map(async (step) => (await redis.command<number>('EXISTS', markOf(redis, step))) === 1)),
    receive: (steps) => receive(redis, steps),
    async cancel(id) {
      const answer = await redis.run<(string | number)[] | null>(cancelScript, { keys: [keys.delivery(id)], args: [Date.now()] });
      if (!answer) throw new CarillonError('NOTIFICATION_NOT_FOUND', { field: 'id', id });
      return Array.from({ length: answer.length / 2 }, (_, i) => ({
        ...refOf(id, answer[2 * i] as string),
        canceled: answer[2 * i + 1] === 1,
      }));
    },
    keyedBy: (hash) => redis.command<string[]>('ZRANGE', keys.cancellation(hash), 0, -1),
    async markRead(ids) {
      const calls = ids.map((id): Call => ({ keys: [keys.delivery(id)], args: [READ] }));
      for (const outcome of await redis.batch(noteOnceScript, [], calls)) if (!outcome.ok) throw outcome.error;
    },
    async get(id) {
      const text = await redis.command<string | null>('GET', keys.delivery(id));
      const record = text === null ? undefined : toRecord(id, text);
      if (!record) throw new CarillonError('NOTIFICATION_NOT_FOUND', { field: 'id', id });
      return record;
    },
    open: (age, limit) => openRecords(redis, age, limit),
    async *of(userId) {
      for await (const ids of toldOf(redis, userId)) {
        yield (await recordsOf(redis, ids)).filter((record) => record !== undefined);
      }
    },
    page: (userId, request) => pageOf(redis, userId, request),
    async stop(userId, before) {
      for await (const ids of toldOf(redis, userId, before)) {
        await Promise.all(ids.map((id) => redis.run(cancelScript, { keys: [keys.delivery(id)], args: [Date.now()] })));
      }
    },
    async forget(userId, before) {
      let count = 0;
      for (;;) {
        const ids = await redis.command<string[]>('ZRANGEBYSCORE', keys.told(userId), 0, before, 'LIMIT', 0, PAGE);
        if (ids.length === 0) return count;
        await Promise.all(ids.map((id) => forgetRecord(redis, id)));
        await redis.command('ZREM', keys.told(userId), ...ids);
        count += ids.length;
      }
    },
  };
}

async function create(redis: Redis, retention: number, records: readonly NewRecord[]): Promise<Outcome<unknown>[]> {
  const writing = redis.batch(
    createScript,
    [retention],
    records.map((record): Call => {
      const { id, createdAt } = record;
      return { keys: [redis.keys.delivery(id), redis.keys.openDeliveries(id)], args: [firstLine(record), id, createdAt] };
    }),
  );
  const indexing = redis.batch(
    toldScript,
    [Date.now(), retention],
    records.map(({ id, userId, createdAt }): Call => ({ keys: [redis.keys.told(userId)], args: [id, createdAt] })),
  );
  const keyed = records.flatMap(({ id, cancellationHash }) =>
    cancellationHash === undefined ? [] : [{ id, key: redis.keys.cancellation(cancellationHash) }],
  );
  const failures = new Map<string, CarillonError>();
  await Promise.all(
    keyed.map(async ({ id, key }) => {
      try {
        const now = Date.now();
        // A key in constant use keeps no more than what can still be told of.
        await Promise.all([
          redis.command('ZADD', key, now, id),
          redis.command('ZREMRANGEBYSCORE', key, 0, now - retention),
          redis.command('PEXPIRE', key, retention),
        ]);
      } catch (error) {
        failures.set(id, error as CarillonError);
      }
    }),
  );
  const indexed = await indexing;
  return (await writing).map((outcome, i) => {
    const error = failures.get((records[i] as NewRecord).id);
    if (error) return { ok: false, error };
    return indexed[i]?.ok === false ? (indexed[i] as Outcome<unknown>) : outcome;
  });
}

/** Ids of a user's notifications, newest first, some at a time. */
async function* toldOf(redis: Redis, userId: string, until: number | '+inf' = '+inf'): AsyncGenerator<string[]> {
  for (let from = 0; ; from += PAGE) {
    const range = [redis.keys.told(userId), until, '-inf', 'LIMIT', from, PAGE];
    const ids = await redis.command<string[]>('ZREVRANGEBYSCORE', ...range);
    yield ids;
    if (ids.length < PAGE) return;
  }
}

async function forgetRecord(redis: Redis, id: string): Promise<void> {
  const { keys } = redis;
  await redis.command('ZREM', keys.openDeliveries(id), id);
  await redis.command('DEL', keys.delivery(id));
  await redis.command('DEL', keys.idempotency(id));
}

/** Reads what `begin.lua` answers. */
function toBegun(answer: string): Begun {
  if (answer === 'go' || answer === 'again') return { state: 'go', resent: answer === 'again' };
  const [state, status, resent, ...json] = answer.split(' ');
  if (state === 'ended') return { state, status: status as DeliveryStatus };
  const { at, until = at, attempts } = JSON.parse(json.join(' ')) as Step;
  return { state: 'open', at, until, attempts, noted: status === 'unknown', resent: resent === '1' };
}

/** The key that marks a report as heard. */
function markOf(redis: Redis, { id, provider, eventId }: Pick<ReceivedStep, 'id' | 'eventId' | 'provider'>): string {
  const event = createHash('sha256').update(`${provider} ${eventId}`).digest('base64url');
  return redis.keys.receipt(id, event.slice(0, EVENT_CHARACTERS));
}

async function receive(redis: Redis, steps: readonly ReceivedStep[]): Promise<Outcome<boolean>[]> {
  const calls = steps.map((step): Call => {
    const { id, channel, address, eventId, at, engagement, knownFor = RECEIPT_WINDOW_MS, ...rest } = step;
    // What a provider took and could not deliver after all went back, whatever it is called: `failed` would say that it was never out.
    const status = step.status === 'failed' ? 'bounced' : step.status;
    const what = status ?? engagement;
    const line = what === undefined ? '' : stepLine({ channel, address }, what, { at, attempts: 0, ...rest });
    // The first opening is told; an image proxy may fetch its pixel a thousand times.
    const known = status === undefined && line !== '' ? `\n${line.slice(0, line.indexOf(' ') + 1)}` : '';
    return { keys: [redis.keys.delivery(id), markOf(redis, step)], args: [line, known, knownFor] };
  });
  const outcomes = await redis.batch<number>(receiveScript, [], calls);
  return outcomes.map((outcome) => (outcome.ok ? { ok: true, value: outcome.value === 1 } : outcome));
}

/** Whether somebody may still do something about it. An outcome that is left unknown is for a person to judge. */
function isOpen({ deliveries }: NotificationRecord): boolean {
  return deliveries.some(({ status, reason }) => OPEN.includes(status) && reason !== 'OUTCOME_UNKNOWN');
}

async function openRecords(redis: Redis, age: number, limit: number): Promise<NotificationRecord[]> {
  const share = Math.ceil(limit / redis.keys.allOpenDeliveries.length);
  const before = Date.now() - age;
  const found: NotificationRecord[] = [];
  for (const index of redis.keys.allOpenDeliveries) found.push(...(await openOfShard(redis, index, before, share)));
  return found;
}

/** Records read at once. */
const PAGE = 200;

async function openOfShard(redis: Redis, index: string, before: number, limit: number): Promise<NotificationRecord[]> {
  const found: NotificationRecord[] = [];
  while (found.length < limit) {
    const ids = await redis.command<string[]>('ZRANGEBYSCORE', index, 0, before, 'LIMIT', found.length, PAGE);
    if (ids.length === 0) break;
    const texts = await redis.command<(string | null)[]>('MGET', ...ids.map(redis.keys.delivery));
    const records = ids.map((id, i) => (texts[i] == null ? undefined : toRecord(id, texts[i] as string)));
    const open = records.flatMap((record) => (record && isOpen(record) ? [record] : []));
    found.push(...open);
    const stillOpen = new Set(open.map(({ id }) => id));
    const done = ids.filter((id) => !stillOpen.has(id));
    if (done.length > 0) await redis.command('ZREM', index, ...done);
  }
  return found;
}
