import type { Actor } from '@carillon/audit';
import { CarillonError, type Notification } from '@carillon/contracts';
import type { Delivery, NotificationRecord } from '@carillon/deliveries';
import type { PersonKey } from '@carillon/vault';
import type { ErasureParts } from './parts.js';

/** Notifications read at a time. */
const PAGE = 100;

/** What is kept of a person, readable, but not what is on its way in queues or kept for preview. Who asked is audited first. */
export async function exportPerson(parts: ErasureParts, userId: string, actor: Actor): Promise<Record<string, unknown>> {
  const { audit, directory } = parts;
  await audit.keep({ actor, action: 'person.exported', users: [userId] });
  const [profile, preferences, devices] = await Promise.all([
    directory.profile(userId).catch(unlessUnknown),
    directory.preferences(userId),
    directory.devices(userId),
  ]);
  return {
    userId,
    exportedAt: Date.now(),
    profile,
    preferences,
    devices,
    inbox: await inboxOf(parts, userId),
    deliveries: await recordsOf(parts, userId),
  };
}

function unlessUnknown(error: unknown): null {
  if (error instanceof CarillonError && error.code === 'USER_NOT_FOUND') return null;
  throw error;
}

async function inboxOf({ inbox }: ErasureParts, userId: string): Promise<Notification[]> {
  const all: Notification[] = [];
  let cursor: string | undefined;
  do {
    const page = await inbox.page(userId, { limit: PAGE, ...(cursor !== undefined && { cursor }) });
    all.push(...page.data);
    cursor = page.nextCursor;
  } while (cursor !== undefined);
  return all;
}

/** A record with its category opened. */
type Told = Omit<NotificationRecord, 'category' | 'deliveries'> & { category: string | null; deliveries: Delivery[] };

async function recordsOf({ deliveries, vault }: ErasureParts, userId: string): Promise<Told[]> {
  const all: Told[] = [];
  const key = await vault.person(userId, 'leave');
  for await (const records of deliveries.of(userId)) {
    all.push(
      ...records.map(({ category, ...record }) => ({ ...record, category: category === null ? null : opened(key, record.id, category) })),
    );
  }
  return all;
}

/** What cannot be opened any more is left out. */
function opened(key: PersonKey, id: string, sealed: string): string | null {
  try {
    return key.open('record', id, sealed);
  } catch {
    return null;
  }
}
