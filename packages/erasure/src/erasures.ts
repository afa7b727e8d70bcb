import { randomUUID } from 'node:crypto';
import type { Actor } from '@carillon/audit';
import { toCarillonError } from '@carillon/contracts';
import type { Redis } from '@carillon/redis';
import type { Erasures } from './erasure.js';
import { exportPerson } from './export.js';
import { type ErasureLog, openLog } from './log.js';
import type { Entry, ErasureParts } from './parts.js';
import { reportOf } from './report.js';
import { findPeople } from './restored.js';

/** ms between looks at what is still to be done. */
const ROUND_MS = 60_000;
/** ms for which one process has a round to itself: it saves work, no more, since erasing twice is erasing. */
const LOCK_MS = 2000;
/** Rounds after which the whole log is looked through, even if nothing hints at a restore. */
const ROUNDS_TO_LOOK = 60;

interface Work extends ErasureParts {
  readonly log: ErasureLog;
  readonly report: (error: unknown) => void;
}

/** Erasures over a key store and a Redis of queues; whichever of the two is restored, the other knows what is to be repeated. Close it when done. */
export function createErasures(parts: ErasureParts): Erasures {
  const { redis, vault, audit, events = {}, everyMs = ROUND_MS } = parts;
  const report = (error: unknown) => events.error?.(toCarillonError(error), { stage: 'erasure' });
  const log = openLog(redis, vault.store);
  const work: Work = { ...parts, log, report };
  let rounds = 0;

  const round = async (isFirst = false) => {
    const mine = await redis.command<string | null>('SET', redis.keys.eraser, '1', 'PX', LOCK_MS, 'NX');
    if (mine !== null) await carryOnAll(work, rounds++ % ROUNDS_TO_LOOK === 0);
    // Somebody who has just died, perhaps.
    else if (isFirst) lookAt(Date.now() + LOCK_MS);
  };
  const look = () => {
    running = running.then(() => round()).catch(report);
  };
  let running = Promise.resolve();
  const timer = setInterval(look, everyMs).unref();
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
      const user = vault.seal('erasure', id, userId);
      await log.begin({ id, name: vault.nameOf(userId), requestedAt: Date.now(), user, destroyed: {} });
      const begun = await destroyKey(work, id, userId);
      await clear(work, begun, userId);
      // A moment later, so that nobody else's round has the lock who looked just before.
      lookAt((begun.until as number) + LOCK_MS);
      return { erasureId: id };
    },
    get: async (erasureId) => reportOf(await log.get(erasureId)),
    exportPerson: (userId: string, actor: Actor) => exportPerson(parts, userId, actor),
    async close() {
      clearInterval(timer);
      for (const timeout of soon) clearTimeout(timeout);
      await running;
    },
  };
}

/** Everything that is not done, or was not done here. One that fails is no hindrance to the others. */
async function carryOnAll(work: Work, isToLook: boolean): Promise<void> {
  const { log, report } = work;
  for (const entry of await log.underWay()) await carryOn(work, entry).catch(report);
  if (!(await log.isSuspicious()) && !isToLook) return;
  await restoreLog(work, await log.lackingThere());
  const lacking = await log.lackingHere();
  if (lacking.length > 0) await repeat(work, lacking);
}

/** Goes on with an erasure that is not done. */
async function carryOn(work: Work, entry: Entry): Promise<void> {
  const userId = work.vault.open('erasure', entry.id, entry.user as string);
  const begun = entry.until === undefined ? await destroyKey(work, entry.id, userId) : entry;
  // Again each time: it costs little, and the Redis of the queues may have been restored meanwhile.
  const cleared = await clear(work, begun, userId);
  if ((cleared.until as number) <= Date.now()) await finish(work, cleared, userId);
}

/** From here on nothing of before opens, and nothing new is sealed. */
async function destroyKey({ vault, log }: Work, id: string, userId: string): Promise<Entry> {
  const { until, keys } = await vault.destroy(userId);
  return log.change(id, { until, keys, destroyed: { key: true } });
}

/** Stops what is on its way, ends the person's connections, and removes what can be removed at once. Records stay until nobody works by them any more. */
async function clear({ revocations, deliveries, directory, inbox, log }: Work, entry: Entry, userId: string): Promise<Entry> {
  await deliveries.stop(userId, Date.now());
  await revocations.revoke(userId);
  const { notificationsInTheInbox = 0, profile = false, ...rest } = entry.destroyed;
  const counted = (notificationsInTheInbox as number) + (await inbox.forget(userId));
  const removed = await directory.forget(userId);
  return log.change(entry.id, { destroyed: { ...rest, notificationsInTheInbox: counted, profile: profile || removed } });
}

/** Nobody holds the key any more, and what was written with it until now is cleared: the records go as well. */
async function finish({ redis, vault, deliveries, log }: Work, { user: _user, ...entry }: Entry, userId: string): Promise<void> {
  const deliveryRecords = await deliveries.forget(userId, Date.now());
  const destroyed = { ...entry.destroyed, deliveryRecords, appendOnlyFileRewritten: await rewritten(redis) };
  const done = { ...entry, destroyed, completedAt: Date.now() };
  await log.finish(done);
  // From here on somebody by this id is somebody new.
  await vault.release(entry.name, entry.until as number);
  await log.carriedOut([done]);
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

/** The key store was restored from before these erasures: the keys it brought back are destroyed again. */
async function restoreLog({ vault }: Work, entries: readonly Entry[]): Promise<void> {
  for (const entry of entries) {
    await vault.destroyAgain(entry.name, entry.keys ?? [], entry.requestedAt);
    await vault.store.add('erased', [[entry.id, JSON.stringify(entry)]]);
  }
}

/** Repeats erasures on a Redis that was restored from before them. Who was told of again since has another key, and keeps what is newer. */
async function repeat(work: Work, entries: readonly Entry[]): Promise<void> {
  const { redis, vault, log } = work;
  const latest = new Map<string, Entry>();
  for (const entry of entries) if (entry.requestedAt >= (latest.get(entry.name)?.requestedAt ?? 0)) latest.set(entry.name, entry);
  // Should the process have died that finished it.
  for (const { name, until } of entries) await vault.release(name, until as number);
  for await (const userId of findPeople(redis)) {
    const entry = latest.get(vault.nameOf(userId));
    if (entry) await clearAgain(work, entry, userId);
  }
  await log.carriedOut(entries);
}

async function clearAgain(
  { vault, deliveries, directory, inbox, revocations }: Work,
  { requestedAt }: Entry,
  userId: string,
): Promise<void> {
  await deliveries.stop(userId, requestedAt);
  await deliveries.forget(userId, requestedAt);
  await revocations.revokeBefore(userId, requestedAt);
  if ((await vault.person(userId, 'leave')).isThere) {
    // What the directory has of before counts as not there.
    await inbox.purge(userId);
    return;
  }
  await inbox.forget(userId);
  await directory.forget(userId);
}
