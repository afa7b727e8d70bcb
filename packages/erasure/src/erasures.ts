import { randomUUID } from 'node:crypto';
import type { Actor } from '@carillon/audit';
import { CarillonError, toCarillonError } from '@carillon/contracts';
import type { Redis } from '@carillon/redis';
import type { Erasures } from './erasure.js';
import { exportPerson } from './export.js';
import type { Entry, ErasureParts } from './parts.js';
import { reportOf } from './report.js';
import { findPeople } from './restored.js';

/** ms between looks at what is still to be done. */
const ROUND_MS = 60_000;
/** ms for which one process has a round to itself: it saves work, no more, since erasing twice is erasing. */
const LOCK_MS = 2000;

/**
 * Erasures over a key store and a Redis of queues. The log of erasures lies with the keys; which of them were carried out is also noted with the queues, so that
 * a restored Redis shows at once which are to be repeated. Close it when done.
 */
export function createErasures(parts: ErasureParts): Erasures {
  const { redis, vault, audit, events = {} } = parts;
  const report = (error: unknown) => events.error?.(toCarillonError(error), { stage: 'erasure' });

  const round = async (isFirst = false) => {
    const mine = await redis.command<string | null>('SET', redis.keys.eraser, '1', 'PX', LOCK_MS, 'NX');
    if (mine !== null) await carryOnAll(parts);
    // Somebody who has just died, perhaps.
    else if (isFirst) lookAt(Date.now() + LOCK_MS);
  };
  const look = () => {
    running = running.then(() => round()).catch(report);
  };
  let running = Promise.resolve();
  const timer = setInterval(look, parts.everyMs ?? ROUND_MS).unref();
  const soon = new Set<NodeJS.Timeout>();
  const lookAt = (time: number) => {
    const timeout = setTimeout(() => {
      soon.delete(timeout);
      look();
    }, time - Date.now()).unref();
    soon.add(timeout);
  };
  running = round(true).catch(report);

  return {
    async erase(userId, actor) {
      const id = randomUUID();
      await audit.keep({ actor, action: 'person.erased', ids: [id], users: [userId] });
      // First of all the log: should this process die now, another one goes on.
      const entry: Entry = {
        id,
        name: vault.nameOf(userId),
        requestedAt: Date.now(),
        user: vault.seal('erasure', id, userId),
        destroyed: {},
      };
      await vault.store.add('erasure', [[id, JSON.stringify(entry)]]);
      const begun = await destroyKey(parts, entry, userId);
      await clear(parts, begun, userId);
      lookAt((begun.until as number) + 1);
      return { erasureId: id };
    },
    async get(erasureId) {
      const [text] = await vault.store.get('erasure', [erasureId]);
      if (text == null) throw new CarillonError('ERASURE_NOT_FOUND', { field: 'id' });
      return reportOf(JSON.parse(text) as Entry);
    },
    exportPerson: (userId: string, actor: Actor) => exportPerson(parts, userId, actor),
    async close() {
      clearInterval(timer);
      for (const timeout of soon) clearTimeout(timeout);
      await running;
    },
  };
}

/** Everything that is not done, or was not done here. */
async function carryOnAll(parts: ErasureParts): Promise<void> {
  const { redis, vault } = parts;
  const done = new Set(await redis.command<string[]>('SMEMBERS', redis.keys.erasures));
  const restored: Entry[] = [];
  for await (const entries of vault.store.all('erasure')) {
    for (const [id, text] of entries) {
      const entry = JSON.parse(text) as Entry;
      if (entry.completedAt === undefined) await carryOn(parts, entry);
      else if (!done.has(id)) restored.push(entry);
    }
  }
  if (restored.length > 0) await repeat(parts, restored);
}

/** Goes on with an erasure that is not done; does nothing while somebody may still hold the key. */
async function carryOn(parts: ErasureParts, entry: Entry): Promise<void> {
  const userId = parts.vault.open('erasure', entry.id, entry.user as string);
  const begun = entry.until === undefined ? await destroyKey(parts, entry, userId) : entry;
  // Again each time: it costs little, and the Redis of the queues may have been restored meanwhile.
  const cleared = await clear(parts, begun, userId);
  if ((cleared.until as number) <= Date.now()) await finish(parts, cleared, userId);
}

/** From here on nothing of before opens, and nothing new is sealed. */
async function destroyKey({ vault, directory }: ErasureParts, entry: Entry, userId: string): Promise<Entry> {
  await directory.releaseDevices(userId);
  const until = await vault.destroy(userId);
  return change(vault, entry, { until, destroyed: { ...entry.destroyed, key: true } });
}

/** Stops what is on its way, ends the person's connections, and removes what can be removed at once. Records stay until nobody works by them any more. */
async function clear(parts: ErasureParts, entry: Entry, userId: string): Promise<Entry> {
  const { revocations, deliveries, directory, inbox, vault } = parts;
  await deliveries.stop(userId);
  await revocations.revoke(userId);
  const { notificationsInTheInbox = 0, profile = false, ...rest } = entry.destroyed;
  const counted = (notificationsInTheInbox as number) + (await inbox.forget(userId));
  const removed = await directory.forget(userId);
  return change(vault, entry, { destroyed: { ...rest, notificationsInTheInbox: counted, profile: profile || removed } });
}

/** Nobody holds the key any more, and what was written with it until now is cleared: the records go as well. */
async function finish({ redis, vault, deliveries }: ErasureParts, entry: Entry, userId: string): Promise<void> {
  const deliveryRecords = await deliveries.forget(userId, Date.now());
  const destroyed = { ...entry.destroyed, deliveryRecords, appendOnlyFileRewritten: await rewritten(redis) };
  await change(vault, entry, { user: undefined, completedAt: Date.now(), destroyed });
  // From here on somebody by this id is somebody new.
  await vault.release(entry.name, entry.until as number);
  await redis.command('SADD', redis.keys.erasures, entry.id);
}

/** Deleted values stay in the append-only file until it is rewritten. A managed Redis may not let us ask for it; it does so by itself. */
async function rewritten(redis: Redis): Promise<boolean> {
  if (redis.cluster) return false;
  try {
    await redis.command('BGREWRITEAOF');
    return true;
  } catch {
    return false;
  }
}

/** Repeats erasures on a Redis that was restored from before them. Who was told of again since has another key and keeps what is newer. */
async function repeat(parts: ErasureParts, entries: readonly Entry[]): Promise<void> {
  const { redis, vault, deliveries, directory, inbox, revocations } = parts;
  const byName = new Map(entries.map((entry) => [entry.name, entry]));
  // Should the process have died that finished it.
  for (const { name, until } of entries) await vault.release(name, until as number);
  for await (const userId of findPeople(redis)) {
    const entry = byName.get(vault.nameOf(userId));
    if (!entry) continue;
    await deliveries.stop(userId);
    await deliveries.forget(userId, entry.requestedAt);
    const isBack = (await vault.person(userId, 'leave')).isThere;
    if (isBack) continue;
    await revocations.revoke(userId);
    await inbox.forget(userId);
    await directory.forget(userId);
  }
  await redis.command('SADD', redis.keys.erasures, ...entries.map(({ id }) => id));
}

/** Writes an entry anew. Whoever else carries it on does the same, so who comes second gives way. */
async function change(vault: ErasureParts['vault'], entry: Entry, changes: Partial<Entry>): Promise<Entry> {
  const next: Entry = { ...entry, ...changes };
  for (;;) {
    const [text] = await vault.store.get('erasure', [entry.id]);
    const current = JSON.parse(text as string) as Entry;
    if (current.completedAt !== undefined) return current;
    if (await vault.store.replace('erasure', entry.id, text as string, JSON.stringify(next))) return next;
  }
}
