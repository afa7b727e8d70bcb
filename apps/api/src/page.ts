/** The page. */
export const PAGE = '/';
/** The description of the interface, for people. */
export const DOCS = '/docs';
/** The form to sign in. */
export const LOGIN = '/admin/login';

/** Text as it stands in HTML, between tags and in quoted attributes. */
export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}

/** A page of ours. `title` is text, `body` HTML. */
export function toPage(title: string, body: string): string {
  return `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>${escapeHtml(title)}</title></head>
<body>
${body}
</body>
</html>
`;
}

/** The media type of a page. */
export const PAGE_TYPE = 'text/html; charset=utf-8';

/** Headers of a page that loads nothing and may send its forms here alone. */
export const PAGE_HEADERS = {
  'content-security-policy': "default-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
  'referrer-policy': 'no-referrer',
};
