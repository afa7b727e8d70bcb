import { CarillonError, parse, type Template, templateSchema } from '@carillon/contracts';
import { loadScript, type Redis } from '@carillon/redis';
import { LRUCache } from 'lru-cache';
import { compile } from './compile.js';
import type { CompiledTemplate, TemplateEntry, Templates } from './templates.js';

/** How long a version that was replaced or removed stays, ms: longer than any job waits, fails and is tried again. */
const KEEP_SUPERSEDED_MS = 90 * 24 * 3600 * 1000;
/** Compiled templates kept per process: by number, and by characters of their text. */
const CACHE_ENTRIES = 1000;
const CACHE_CHARACTERS = 32 * 1024 * 1024;
/** How long a current version is believed without word from Redis, ms: the last resort where an announcement was lost unseen. */
const CURRENT_TTL_MS = 60_000;

const registerScript = loadScript(new URL('../lua/register.lua', import.meta.url));
const removeScript = loadScript(new URL('../lua/remove.lua', import.meta.url));

/** Templates in Redis, compiled ones cached; a change is announced to all processes. Close it when done. @throws REDIS_UNAVAILABLE */
export async function createTemplates(redis: Redis): Promise<Templates> {
  const versions = new LRUCache<string, CompiledTemplate>({
    max: CACHE_ENTRIES,
    maxSize: CACHE_CHARACTERS,
    sizeCalculation: ({ definition }) => definition.title.length + definition.body.length + 1,
  });
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

  const announce = (id: string) => redis.command(redis.cluster ? 'SPUBLISH' : 'PUBLISH', redis.keys.templateChannel, id);
  const notFound = (id: string) =>
    new CarillonError('TEMPLATE_NOT_FOUND', { field: 'templateId', message: `No template "${id}" is registered.` });

  const currentVersion = async (id: string): Promise<string> => {
    const cached = currents.get(id);
    if (cached) return cached;
    const before = announcements;
    const version = await redis.command<string | null>('HGET', redis.keys.template(id), 'current');
    if (!version) throw notFound(id);
    if (before === announcements) currents.set(id, version);
    return version;
  };
  const version = async (id: string, wanted: string): Promise<CompiledTemplate> => {
    const cacheKey = `${id}@${wanted}`;
    const cached = versions.get(cacheKey);
    if (cached) return cached;
    const stored = await redis.command<string | null>('HGET', redis.keys.template(id), `version:${wanted}`);
    if (!stored) throw notFound(id);
    const compiled = compile(JSON.parse(stored) as Template);
    versions.set(cacheKey, compiled);
    return compiled;
  };
  const get = async (id: string): Promise<TemplateEntry> => {
    const compiled = await version(id, await currentVersion(id));
    return { template: compiled.definition, version: compiled.version };
  };

  return {
    async register(definition) {
      // As it will be stored: fields that are explicitly undefined are not there.
      const template = JSON.parse(JSON.stringify(parse(templateSchema, definition))) as Template;
      const compiled = compile(template);
      const changed = await redis.run<number>(registerScript, {
        keys: [redis.keys.template(template.id)],
        args: [compiled.version, JSON.stringify(template), Date.now(), KEEP_SUPERSEDED_MS],
      });
      await redis.command('SADD', redis.keys.templateIds, template.id);
      // Also when nothing changed: an earlier try may have got only so far.
      await announce(template.id);
      forget(template.id);
      return { id: template.id, version: compiled.version, changed: changed === 1 };
    },
    current: async (id) => version(id, await currentVersion(id)),
    version,
    get,
    async list({ limit, cursor }) {
      const ids = (await redis.command<string[]>('SMEMBERS', redis.keys.templateIds)).sort();
      const data: TemplateEntry[] = [];
      for (const id of ids) {
        if (cursor !== undefined && id <= cursor) continue;
        if (data.length === limit) return { data, nextCursor: data.at(-1)?.template.id as string };
        // An id without a current version was removed, or is being registered right now.
        const entry = await get(id).catch((error) => {
          if (error instanceof CarillonError && error.code === 'TEMPLATE_NOT_FOUND') return undefined;
          throw error;
        });
        if (entry) data.push(entry);
      }
      return { data };
    },
    async remove(id) {
      const removed = await redis.run<number>(removeScript, { keys: [redis.keys.template(id)], args: [Date.now()] });
      forget(id);
      await redis.command('SREM', redis.keys.templateIds, id);
      await announce(id);
      if (removed === 0) throw notFound(id);
    },
    close: () => subscriber.close(),
  };
}
