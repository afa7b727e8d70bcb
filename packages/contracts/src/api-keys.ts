/** What an API key may be allowed. */
export const scopes = ['send', 'read', 'admin'] as const;
export type Scope = (typeof scopes)[number];

/** Live keys one name may have: the one in use and the one that follows it. */
const KEYS_PER_NAME = 2;

/** One entry of the setting `NOTIFICATION_API_KEYS`. */
export interface ApiKeyEntry {
  readonly name: string;
  readonly scopes: readonly Scope[];
  /** The key itself, a secret. */
  readonly bearer: string;
}

/** A name, or a name with its scopes in brackets. */
const namePattern = /^([^[\]\s]{1,64})(?:\[([^[\]]*)\])?$/;

/**
 * Reads the setting `NOTIFICATION_API_KEYS`: `name:key` or `name[send+read+admin]:key`, comma-separated. The bearer token is the part after
 * the last colon. A key without brackets has every scope. A name may stand there twice, with two keys: while one replaces the other both are
 * the same caller.
 *
 * @returns the entries that are right, and for each that is not what is wrong with it: by its place, never by its text, which may be a key.
 */
export function readApiKeys(spec: string): { readonly keys: readonly ApiKeyEntry[]; readonly faults: readonly string[] } {
  const keys: ApiKeyEntry[] = [];
  const faults: string[] = [];
  for (const [index, text] of spec.split(',').entries()) {
    const entry = readEntry(text.trim(), keys);
    if (typeof entry === 'string') faults.push(`entry ${index + 1} ${entry}`);
    else keys.push(entry);
  }
  return { keys, faults };
}

/** The entry, or what is wrong with it. */
function readEntry(text: string, before: readonly ApiKeyEntry[]): ApiKeyEntry | string {
  const colon = text.lastIndexOf(':');
  if (colon === -1) return 'must have the form name:key';
  const bearer = text.slice(colon + 1);
  if (!/^[\x21-\x7e]+$/.test(bearer)) return 'must have a key after the last colon, in visible ASCII without spaces';
  const match = namePattern.exec(text.slice(0, colon));
  if (!match) return 'must have a name of 1 to 64 characters without spaces or brackets, followed by scopes in brackets if any';
  const [, name = '', list] = match;
  const granted = list === undefined ? scopes : list.split('+').map((named) => scopes.find((scope) => scope === named));
  if (!granted.every((scope) => scope !== undefined)) return `must name scopes of ${scopes.join(', ')}`;
  if (before.filter((other) => other.name === name).length === KEYS_PER_NAME) return 'is the third of its name: two may be live';
  if (before.some((other) => other.bearer === bearer)) return 'has the key of an earlier one';
  return { name, scopes: [...new Set(granted)], bearer };
}
