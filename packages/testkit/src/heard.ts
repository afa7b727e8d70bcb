/** Is told of each call to a stand-in, whatever becomes of it: method, path and headers as text, and its body. */
export type Heard = (head: string, body: string) => void;

/** What a request begins with, a header per line. */
export function headOf({
  method,
  url,
  rawHeaders,
}: {
  readonly method?: string | undefined;
  readonly url?: string | undefined;
  readonly rawHeaders: readonly string[];
}): string {
  const lines = rawHeaders.flatMap((name, i) => (i % 2 === 0 ? [`${name}: ${rawHeaders[i + 1]}`] : []));
  return [`${method} ${url}`, ...lines].join('\n');
}
