import { createPrivateKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { CarillonError } from '@carillon/contracts';

/** What of a Firebase service account is needed to send. */
export interface ServiceAccount {
  readonly projectId: string;
  readonly clientEmail: string;
  /** PEM. */
  readonly privateKey: string;
}

/** Reads a service account from its JSON, or from the file a path names. @throws CONFIGURATION_INVALID, and tells nothing of what it read */
export function readServiceAccount(setting: string): ServiceAccount {
  const text = setting.trimStart().startsWith('{') ? setting : contentOf(setting);
  const account = parsed(text);
  const [projectId, clientEmail, privateKey] = ['project_id', 'client_email', 'private_key'].map((name) => {
    const value = account[name];
    if (typeof value !== 'string' || !value) throw invalid(`has no ${name}`);
    return value;
  }) as [string, string, string];
  if (!isPrivateKey(privateKey)) throw invalid('has a private_key that cannot be read');
  return { projectId, clientEmail, privateKey };
}

function contentOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw invalid(`is neither JSON nor a file that can be read (${(error as NodeJS.ErrnoException).code ?? 'unknown'})`);
  }
}

function parsed(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null) return value as Record<string, unknown>;
  } catch {
    // The parser's own message quotes the text.
  }
  throw invalid('is not the JSON of a service account');
}

function isPrivateKey(pem: string): boolean {
  try {
    return createPrivateKey(pem).asymmetricKeyType === 'rsa';
  } catch {
    return false;
  }
}

const invalid = (what: string) => new CarillonError('CONFIGURATION_INVALID', { message: `FIREBASE_SERVICE_ACCOUNT: ${what}` });
