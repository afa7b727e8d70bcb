import { CarillonError, type Template } from '@carillon/contracts';
import { loadScript, type Redis } from '@carillon/redis';
import { LRUCache } from 'lru-cache';
import { type Compiled, compile } from './compile.js';
import type { PhiPolicy } from './firewall.js';
import type { Pinned } from './pin.js';

/** How long a version that was replaced or removed stays, ms: longer than any job waits, fails and is tried again. */
const KEEP_SUPERSEDED_MS = 90 * 24 * 3600 * 1000;
/** Compiled templates kept per process: by number, and by characters of their text. */
const CACHE_ENTRIES = 1000;
const CACHE_CHARACTERS = 32 * 1024 * 1024;
/** How long a current version is believed without word from Redis, ms: the last resort where an announcement was lost unseen. */
const CURRENT_TTL_MS = 60_000;

const registerScript = loadScript(new URL('../lua/register.lua', import.meta.url));
const removeScript = loadScript(new URL('../lua/remove.lua', import.meta.url));

/** Versions of templates in Redis, compiled ones cached. */
export interface TemplateStore {
  /** The current version, as recently as this process heard. @throws TEMPLATE_NOT_FOUND */
  current(id: string): Promise<Compiled>;
  /** The current version, as Redis has it; undefined if there is none. */
  latest(id: string): Promise<Compiled | undefined>;
  /** @throws TEMPLATE_NOT_FOUND */
  version(id: string, version: string): Promise<Compiled>;
  /** Makes a version current; with `instead`, only where that version is. */
  put(compiled: Compiled, instead?: string): Promise<'changed' | 'same' | 'overtaken'>;
  /** Ids that were registered, in order. */
  ids(): Promise<string[]>;
  /** @throws TEMPLATE_NOT_FOUND */
  remove(id: string): Promise<void>;
  close(): Promise<void>;
}

/** What a version is stored as: its definition and, where there is any, what it is pinned to. */
type Stored = Template & { pinned?: Pinned };

/** Opens the store; a change is announced to all processes. @throws REDIS_UNAVAILABLE */
export async function openStore(redis: Redis, policy: PhiPolicy): Promise<TemplateStore> {
  const currents = await openCurrents(redis);
  const versions = new LRUCache<string, Compiled>({
    max: CACHE_ENTRIES,
    maxSize: CACHE_CHARACTERS,
    sizeCalculation: ({ size }) => size,
  });
  const version = async (id: string, wanted: string): Promise<Compiled> => {
    const cacheKey = `${id}@${wanted}`;
    const cached = versions.get(cacheKey);
    if (cached) return cached;
    const stored = await redis.command<string | null>('HGET', redis.keys.template(id), `version:${wanted}`);
    if (!stored) throw notFound(id);
    const { pinned, ...definition } = JSON.parse(stored) as Stored;
    const compiled = compile(definition, pinned, policy);
    versions.set(cacheKey, compiled);
    return compiled;
  };
  return {
    current: async (id) => version(id, await currents.of(id)),
    version,
    async latest(id) {
      const wanted = await redis.command<string | null>('HGET', redis.keys.template(id), 'current');
      return wanted ? version(id, wanted) : undefined;
    },
    async put({ definition, pinned, version }, instead) {
      const stored: Stored = pinned ? { ...definition, pinned } : definition;
      const answer = await redis.run<number>(registerScript, {
        keys: [redis.keys.template(definition.id)],
        args: [version, JSON.stringify(stored), Date.now(), KEEP_SUPERSEDED_MS, ...(instead === undefined ? [] : [instead])],
      });
      if (answer === -1) return 'overtaken';
      await redis.command('SADD', redis.keys.templateIds, definition.id);
      // Also when nothing changed: an earlier try may have got only so far.
      await currents.announce(definition.id);
      return answer === 1 ? 'changed' : 'same';
    },
    ids: async () => (await redis.command<string[]>('SMEMBERS', redis.keys.templateIds)).sort(),
    async remove(id) {
      const removed = await redis.run<number>(removeScript, { keys: [redis.keys.template(id)], args: [Date.now()] });
      currents.forget(id);
      await redis.command('SREM', redis.keys.templateIds, id);
      await currents.announce(id);
      if (removed === 0) throw notFound(id);
    },
    close: currents.close,
  };
}

/** Which version of each template is current, remembered until another process says that it changed. */
async function openCurrents(redis: Redis) {
  const currents = new LRUCache<string, string>({ max: CACHE_ENTRIES, ttl: CURRENT_TTL_MS });
  // Counts announcements: what was read before one may be stale after it and is not kept.
  let announcements = 0;
  const forget = (id?: string) => {
    announcements++;
    if (id === undefined) currents.clear();
    else currents.delete(id);
  };

  const subscriber = await redis.subscriber();
  subscriber.onMessage((_channel, id) => forget(id));
  subscriber.onGap(() => forget());
  await subscriber.subscribe(redis.keys.templateChannel);

  return {
    forget,
    /** @throws TEMPLATE_NOT_FOUND */
    async of(id: string): Promise<string> {
      const cached = currents.get(id);
      if (cached) return cached;
      const before = announcements;
      const version = await redis.command<string | null>('HGET', redis.keys.template(id), 'current');
      if (!version) throw notFound(id);
      if (before === announcements) currents.set(id, version);
      return version;
    },
    async announce(id: string): Promise<void> {
      await redis.command(redis.cluster ? 'SPUBLISH' : 'PUBLISH', redis.keys.templateChannel, id);
      forget(id);
    },
    close: () => subscriber.close(),
  };
}

function notFound(id: string): CarillonError {
  return new CarillonError('TEMPLATE_NOT_FOUND', { field: 'templateId', message: `No template "${id}" is registered.` });
}
