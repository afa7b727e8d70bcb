/** The link if it leads to a page: a path, or an address of http or https. Anything else (scripts above all) is none. */
export function pageLink(url: string | null): string | undefined {
  try {
    if (url !== null && /^https?:$/.test(new URL(url, 'https://page.invalid').protocol)) return url;
  } catch {
    // No address at all.
  }
  return undefined;
}
