import { type Actor, type Audit, noAudit } from '@carillon/audit';
import { CarillonError, cancellationKeySchema, notificationIdSchema, parse, userIdSchema } from '@carillon/contracts';
import type { Deliveries } from '@carillon/deliveries';
import { z } from 'zod';
import type { Canceled, CancelTarget } from './producer.js';

/** Notifications of one key that are canceled at once. */
const AT_ONCE = 50;

const keySchema = z.strictObject({ cancellationKey: cancellationKeySchema, userId: userIdSchema.optional() });

interface CancelParts {
  readonly deliveries: Pick<Deliveries, 'cancel' | 'keyedBy' | 'get'>;
  readonly audit?: Audit | undefined;
}

/**
 * Cancels one notification, or those with one key; `hashOf` gives the name under which a key is stored. Notes what is stopped; of a cancellation
 * that stops nothing, what it was asked for or came too late for.
 */
export async function cancel(
  { deliveries, audit = noAudit }: CancelParts,
  hashOf: (cancellationKey: string) => string,
  actor: Actor,
  target: string | CancelTarget,
): Promise<Canceled> {
  const result: Canceled = { canceled: [], alreadySent: [] };
  const note = (ids: readonly string[], about?: { stopped: 0 }) => audit.note({ actor, action: 'notification.canceled', ids, about });
  try {
    const answer = await run(deliveries, hashOf, target, result);
    if (answer.canceled.length === 0) note(answer.alreadySent.length > 0 ? answer.alreadySent : askedFor(target), { stopped: 0 });
    return answer;
  } finally {
    // Also of those that were stopped before one failed.
    if (result.canceled.length > 0) note(result.canceled);
  }
}

const askedFor = (target: string | CancelTarget): string[] => (typeof target === 'string' ? [target] : 'id' in target ? [target.id] : []);

async function run(
  deliveries: CancelParts['deliveries'],
  hashOf: (cancellationKey: string) => string,
  target: string | CancelTarget,
  result: Canceled,
): Promise<Canceled> {
  if (typeof target !== 'string' && (typeof target !== 'object' || target === null))
    throw new CarillonError('FIELD_INVALID', { message: 'must be an id, or an object with id or cancellationKey' });
  if (typeof target === 'string' || 'id' in target) {
    const id = typeof target === 'string' ? target : target.id;
    if (!notificationIdSchema.safeParse(id).success) throw new CarillonError('NOTIFICATION_NOT_FOUND', { field: 'id' });
    await cancelOne(deliveries, id, result);
    return result;
  }
  const { cancellationKey, userId } = parse(keySchema, target);
  const ids = (await deliveries.keyedBy(hashOf(cancellationKey))).sort();
  for (let i = 0; i < ids.length; i += AT_ONCE) {
    await Promise.all(ids.slice(i, i + AT_ONCE).map((id) => cancelKeyed(deliveries, id, userId, result)));
  }
  return { canceled: result.canceled.toSorted(), alreadySent: result.alreadySent.toSorted() };
}

async function cancelOne(deliveries: Pick<Deliveries, 'cancel'>, id: string, into: Canceled): Promise<void> {
  const outcomes = await deliveries.cancel(id);
  if (outcomes.some(({ canceled }) => canceled)) into.canceled.push(id);
  if (outcomes.some(({ canceled }) => !canceled)) into.alreadySent.push(id);
}

async function cancelKeyed(
  deliveries: Pick<Deliveries, 'cancel' | 'get'>,
  id: string,
  userId: string | undefined,
  into: Canceled,
): Promise<void> {
  try {
    if (userId !== undefined && (await deliveries.get(id)).userId !== userId) return;
    await cancelOne(deliveries, id, into);
  } catch (error) {
    // Its retention is over: nothing of it can be sent any more.
    if (!(error instanceof CarillonError) || error.code !== 'NOTIFICATION_NOT_FOUND') throw error;
  }
}
