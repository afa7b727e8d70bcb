import type { ClientStorage } from './client.js';
import type { Kept } from './replica.js';

/** Milliseconds in which changes are written together. */
const TOGETHER = 500;
/** Milliseconds a storage may take to say what it kept: a list can be fetched as well. */
const READ_WITHIN = 1000;

/** Keeps an inbox in a storage under one key at a time. A storage that fails keeps nothing, and harms nothing. */
export function createKeeper(storage: ClientStorage | undefined, current: () => Kept | undefined) {
  let key = '';
  let timer: ReturnType<typeof setTimeout> | undefined;

  /** In place of what waits to be done. */
  const act = async (what: (storage: ClientStorage) => unknown) => {
    clearTimeout(timer);
    timer = undefined;
    try {
      return storage && key ? await what(storage) : undefined;
    } catch {
      // Full, forbidden or broken.
      return undefined;
    }
  };
  const write = () =>
    act((to) => {
      const kept = current();
      return kept && to.setItem(key, JSON.stringify(kept));
    });

  return {
    /** From here on under this key, the empty one keeps nothing; and gives what was kept, if it is that. */
    open(name: string): Promise<Kept | undefined> {
      key = name;
      const late = new Promise<undefined>((resolve) => setTimeout(resolve, READ_WITHIN));
      const read = act(async (from) => {
        const kept: Kept = JSON.parse((await from.getItem(name)) as string);
        const { head, list } = kept;
        return head.epoch && head.offset + head.unreadCount >= 0 && list.items.every((item) => item.id && item.tags) && kept;
      });
      return Promise.race([read as Promise<Kept | undefined>, late]);
    },
    save(): void {
      timer ??= setTimeout(write, TOGETHER);
    },
    /** Writes what waits, now. */
    flush: (): unknown => timer && write(),
    forget: (): unknown => act((from) => from.removeItem(key)),
  };
}
