import { CarillonError, parse, partialSchema, type Template, type TemplatePartial } from '@carillon/contracts';
import type { Redis } from '@carillon/redis';
import { compile } from './compile.js';
import type { PhiPolicy } from './firewall.js';
import { checkPartial, pin, type ReadPartial } from './pin.js';
import type { TemplateStore } from './store.js';
import { invalid } from './tokens.js';

/** Times a template is tried again that somebody else registers at the same moment. */
const TRIES = 10;

/** Partials in Redis, and the templates that use them. */
export interface Partials {
  readonly read: ReadPartial;
  /** Ids of all partials, in order. */
  ids(): Promise<string[]>;
  /** @throws FIELD_INVALID, TEMPLATE_INVALID */
  register(partial: unknown): Promise<{ id: string; changed: boolean; templates: string[] }>;
  /** Registers a template anew if a partial it uses has changed. Answers its version if it did. @throws TEMPLATE_INVALID */
  renew(templateId: string): Promise<string | undefined>;
  /** @throws PARTIAL_NOT_FOUND */
  get(id: string): Promise<TemplatePartial>;
  /** @throws PARTIAL_NOT_FOUND */
  remove(id: string): Promise<void>;
}

/** Partials beside the templates that use them. */
export function createPartials(redis: Redis, store: TemplateStore, policy: PhiPolicy): Partials {
  const key = redis.keys.partials;
  const read: ReadPartial = async (id) => (await redis.command<string | null>('HGET', key, id)) ?? undefined;
  const renew = (id: string) => renewTemplate(store, id, read, policy);
  return {
    read,
    renew,
    ids: async () => (await redis.command<string[]>('HKEYS', key)).sort(),
    async register(partial) {
      const { id, html } = parse(partialSchema, partial);
      await checkWith(store, { id, html }, read, policy);
      const changed = (await read(id)) !== html;
      await redis.command('HSET', key, id, html);
      const templates: string[] = [];
      // Also when nothing changed: an earlier try may have got only so far.
      for (const templateId of await users(store, id)) if (await renew(templateId)) templates.push(templateId);
      return { id, changed, templates };
    },
    async get(id) {
      const html = await read(id);
      if (html === undefined) throw notFound(id);
      return { id, html };
    },
    async remove(id) {
      if ((await redis.command<number>('HDEL', key, id)) === 0) throw notFound(id);
    },
  };
}

/** Refuses a partial with which itself or a template that uses it could not be rendered. @throws TEMPLATE_INVALID `html` */
async function checkWith(store: TemplateStore, { id, html }: TemplatePartial, read: ReadPartial, policy: PhiPolicy): Promise<void> {
  const readNew: ReadPartial = async (other) => (other === id ? html : read(other));
  await checkPartial(id, html, readNew);
  for (const templateId of await users(store, id)) {
    const template = (await store.latest(templateId))?.definition;
    if (!template) continue;
    try {
      await compilePinned(template, readNew, policy);
    } catch (error) {
      if (!(error instanceof CarillonError && error.code === 'TEMPLATE_INVALID')) throw error;
      throw invalid('html', `with it the template "${templateId}" could not be rendered (${error.message})`, error);
    }
  }
}

/** Ids of the templates that use a partial, by themselves or through others. */
async function users(store: TemplateStore, partialId: string): Promise<string[]> {
  const ids: string[] = [];
  for (const id of await store.ids()) if ((await store.latest(id))?.pinned?.partials.includes(partialId)) ids.push(id);
  return ids;
}

async function renewTemplate(store: TemplateStore, id: string, read: ReadPartial, policy: PhiPolicy): Promise<string | undefined> {
  for (let i = 0; i < TRIES; i++) {
    const latest = await store.latest(id);
    if (!latest) return undefined;
    const renewed = await compilePinned(latest.definition, read, policy);
    if (renewed.version === latest.version) return undefined;
    if ((await store.put(renewed, latest.version)) !== 'overtaken') return renewed.version;
  }
  throw new CarillonError('INTERNAL', { message: `The template "${id}" is registered too often to be renewed.` });
}

/** A template compiled with the partials as they are, and fit to be registered. @throws TEMPLATE_INVALID */
export async function compilePinned(template: Template, read: ReadPartial, policy: PhiPolicy) {
  const compiled = compile(template, await pin(template, read), policy);
  compiled.refuseLeaks();
  return compiled;
}

function notFound(id: string): CarillonError {
  return new CarillonError('PARTIAL_NOT_FOUND', { field: 'id', message: `No partial "${id}" is registered.` });
}
