import type { Audit } from '@carillon/audit';
import { INSTALLATION, installationContext } from './installation.js';
import type { KeyProvider } from './key-ring.js';
import type { KeyStore, Shelf } from './key-store.js';
import { contextOf, parseEntry } from './people.js';

/** What a sweep of the key store found and did. */
export interface Sweep {
  /** Keys wrapped anew by the current key. */
  readonly rewrapped: number;
  /** Keys that are wrapped by each key now, by its id. One that is missing here wraps nothing and can be removed from the ring. */
  readonly wrapped: Readonly<Record<string, number>>;
}

/**
 * Wraps every key in the store by the current key of the provider. Nothing else has to change, and nothing that is sealed is touched: readers and
 * writers go on meanwhile. @throws KEY_STORE_UNAVAILABLE, REDIS_UNAVAILABLE; SEAL_BROKEN never: what cannot be unwrapped is counted as it is
 */
export async function sweep(provider: KeyProvider, store: KeyStore, audit: Pick<Audit, 'note'>): Promise<Sweep> {
  const wrapped: Record<string, number> = {};
  let rewrapped = 0;
  const visit = async (shelf: Shelf, name: string, text: string) => {
    const next = await rewrap(provider, shelf, name, text);
    // Somebody who changed it meanwhile wrapped it by the current key, or destroyed it.
    const done = next !== undefined && next !== text && (await store.replace(shelf, name, text, next));
    if (done) {
      rewrapped++;
      audit.note({ actor: { type: 'system', name: 'vault' }, action: 'key.rewrapped', ids: [name] });
    }
    const by = provider.wrappedBy(wrappedIn(shelf, done ? (next as string) : text) ?? '');
    if (by !== undefined) wrapped[by] = (wrapped[by] ?? 0) + 1;
  };
  const [secret] = await store.get('installation', [INSTALLATION]);
  if (secret != null) await visit('installation', INSTALLATION, secret);
  for await (const entries of store.all('person')) for (const [name, text] of entries) await visit('person', name, text);
  return { rewrapped, wrapped };
}

const wrappedIn = (shelf: Shelf, text: string) => (shelf === 'person' ? parseEntry(text).wrapped : text);

/** An entry with its key wrapped by the current key; as it is if it is so already, or cannot be unwrapped. */
async function rewrap(provider: KeyProvider, shelf: Shelf, name: string, text: string): Promise<string | undefined> {
  const before = wrappedIn(shelf, text);
  if (before === undefined || provider.wrappedBy(before) === provider.current) return text;
  const context = shelf === 'person' ? contextOf(name) : installationContext;
  const dataKey = await provider.unwrap(before, context).catch(() => undefined);
  if (!dataKey) return undefined;
  const after = await provider.wrap(dataKey, context);
  return shelf === 'person' ? JSON.stringify({ ...parseEntry(text), wrapped: after }) : after;
}
