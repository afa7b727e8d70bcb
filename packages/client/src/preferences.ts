import { CarillonClientError, type ClientOptions } from './client.js';
import type { Preferences } from './notification.js';
import type { Tokens } from './tokens.js';

/** Asks for the user's preferences over HTTP, or replaces them. @throws NO_API_URL, OFFLINE, or the service's code */
export async function askPreferences({ apiUrl }: ClientOptions, tokens: Tokens, preferences?: Preferences): Promise<Preferences> {
  if (apiUrl === undefined) throw new CarillonClientError('NO_API_URL');
  let answer: Response | undefined;
  let content: (Preferences & { code?: string }) | undefined;
  try {
    answer = await fetch(`${apiUrl}/v1/me/preferences`, {
      method: preferences ? 'PUT' : 'GET',
      headers: { authorization: `Bearer ${await tokens.take()}`, 'content-type': 'application/json' },
      body: JSON.stringify(preferences),
    });
    content = await answer.json();
  } catch {
    // No token, no network, or no answer of ours.
  }
  if (answer?.ok && content) return content;
  // If it was the token: the next time comes with another.
  tokens.forget();
  throw new CarillonClientError(content?.code ?? 'OFFLINE');
}
