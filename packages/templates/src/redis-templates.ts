import { CarillonError, type ChannelName, channelDefinition, parse, type Template, templateSchema } from '@carillon/contracts';
import type { Redis } from '@carillon/redis';
import type { PhiPolicy } from './firewall.js';
import { compilePinned, createPartials } from './partials.js';
import type { ReadPartial } from './pin.js';
import { openStore } from './store.js';
import type { CompiledTemplate, Page, Templates } from './templates.js';

/**
 * Templates in Redis, compiled ones cached; a change is announced to all processes. Close it when done.
 *
 * `phiPolicy` (`standard`) says where fields without a class may go. It must be the same in every process: those that register refuse by it, and
 * those that render hold back by it what was registered under another one.
 *
 * @throws REDIS_UNAVAILABLE
 */
export async function createTemplates(redis: Redis, { phiPolicy = 'standard' }: { phiPolicy?: PhiPolicy } = {}): Promise<Templates> {
  const store = await openStore(redis, phiPolicy);
  const partials = createPartials(redis, store, phiPolicy);
  const get = async (id: string) => entryOf(await store.current(id));
  return {
    async register(definition) {
      const compiled = await compileNew(definition, partials.read, phiPolicy);
      const { id } = compiled.definition;
      const put = await store.put(compiled);
      // A partial that changed meanwhile may not have seen this template among its users.
      const renewed = compiled.pinned && (await partials.renew(id));
      return { id, version: renewed ?? compiled.version, changed: put === 'changed' || renewed !== undefined };
    },
    current: store.current,
    version: store.version,
    get,
    // An id without a current version was removed, or is being registered right now.
    list: async (request) => page(await store.ids(), request, (id) => get(id).catch(ifNot('TEMPLATE_NOT_FOUND')), idOfEntry),
    remove: store.remove,
    async preview(template, { data, ...about }) {
      const compiled = typeof template === 'string' ? await store.current(template) : await compileNew(template, partials.read, phiPolicy);
      compiled.refuseLeaks();
      compiled.check(data);
      const channels = compiled.definition.channels as ChannelName[];
      return Object.fromEntries(channels.map((name) => [name, compiled.render(channelDefinition(name), data, about).content]));
    },
    registerPartial: partials.register,
    partial: partials.get,
    listPartials: async (request) =>
      page(
        await partials.ids(),
        request,
        (id) => partials.get(id).catch(ifNot('PARTIAL_NOT_FOUND')),
        ({ id }) => id,
      ),
    removePartial: partials.remove,
    close: store.close,
  };
}

async function compileNew(definition: unknown, read: ReadPartial, policy: PhiPolicy) {
  // As it will be stored: fields that are explicitly undefined are not there.
  return compilePinned(JSON.parse(JSON.stringify(parse(templateSchema, definition))) as Template, read, policy);
}

const entryOf = ({ definition, version }: CompiledTemplate) => ({ template: definition, version });
const idOfEntry = ({ template }: ReturnType<typeof entryOf>) => template.id;

/** One page of what ids name; what an id names no more is passed over. */
async function page<T>(
  ids: string[],
  { limit, cursor }: { limit: number; cursor?: string },
  get: (id: string) => Promise<T | undefined>,
  idOf: (entry: T) => string,
): Promise<Page<T>> {
  const data: T[] = [];
  for (const id of ids) {
    if (cursor !== undefined && id <= cursor) continue;
    if (data.length === limit) return { data, nextCursor: idOf(data.at(-1) as T) };
    const entry = await get(id);
    if (entry) data.push(entry);
  }
  return { data };
}

/** Undefined for an error of this code. */
function ifNot(code: CarillonError['code']) {
  return (error: unknown): undefined => {
    if (error instanceof CarillonError && error.code === code) return undefined;
    throw error;
  };
}
