/** What the interface refused, or that it could not be asked. */
export class Refusal extends Error {
  /** Of docs/errors.md; `OFFLINE` if nothing answered. */
  readonly code: string;
  /** What is at fault, as a path such as `data.name`. */
  readonly field: string | undefined;

  constructor(code: string, message: string, field?: string) {
    super(message);
    this.code = code;
    this.field = field;
  }
}

/** What hears that the session is over. */
let onSignedOut = () => {};
export const whenSignedOut = (listener: () => void): void => {
  onSignedOut = listener;
};

/** Asks the interface, by the session of this browser. @throws Refusal */
export async function ask<T>(method: 'GET' | 'POST' | 'PUT', path: string, body?: unknown, signal?: AbortSignal): Promise<T> {
  const headers = { accept: 'application/json', ...(body !== undefined && { 'content-type': 'application/json' }) };
  const init = { method, headers, ...(body !== undefined && { body: JSON.stringify(body) }), ...(signal && { signal }) };
  const response = await fetch(path, init).catch((error) => {
    if (signal?.aborted) throw error;
    throw new Refusal('OFFLINE', 'The service does not answer.');
  });
  const answer = await response.json().catch(() => undefined);
  if (response.ok) return answer as T;
  const { code = 'INTERNAL', detail = 'Something failed.', field } = (answer ?? {}) as { code?: string; detail?: string; field?: string };
  if (code === 'UNAUTHORIZED') onSignedOut();
  throw new Refusal(code, detail, field);
}

/** A sentence for people about what was thrown. */
export function toSentence(thrown: unknown): string {
  if (!(thrown instanceof Refusal)) return 'Something failed in this page.';
  if (thrown.code === 'FORBIDDEN') return `The key you are signed in with lacks the scope ${thrown.field}.`;
  return thrown.message;
}
