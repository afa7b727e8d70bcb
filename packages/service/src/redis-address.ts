/** Whether a text is an address of Redis that can be read: user and password as percent-encoded text (RFC 3986 section 3.2.1). */
export function isRedisAddress(text: string): boolean {
  if (!/^rediss?:\/\//.test(text) || !URL.canParse(text)) return false;
  return decoded(new URL(text).username) !== undefined && passwordOf(text) !== undefined;
}

/** The password of an address, empty if it has none; undefined if it cannot be read. Never throws. */
export function passwordOf(text: string): string | undefined {
  return URL.canParse(text) ? decoded(new URL(text).password) : undefined;
}

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}
