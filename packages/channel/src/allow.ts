import type { Address } from '@carillon/contracts';

/** What a person may be recognised by: the address, and whose it is. */
export interface Whom {
  readonly to: Address;
  readonly userId: string;
}

/** Marks an entry about a user rather than an address: the address of a device is nothing that people know. */
const USER = 'user:';

/** Reads NOTIFICATION_DELIVERY_ALLOW: whether a message to somebody is on the list. Addresses match in any case, user ids as they are written. */
export function allowed(list: string | undefined): (whom: Whom) => boolean {
  const entries = (list ?? '')
    .split(',')
    .map((entry) => entry.trim())
    .filter((entry) => entry !== '');
  const users = entries.filter((entry) => entry.startsWith(USER)).map((entry) => patternOf(entry.slice(USER.length), ''));
  const addresses = entries.filter((entry) => !entry.startsWith(USER)).map((entry) => patternOf(entry, 'i'));
  return ({ to, userId }) => addresses.some((pattern) => pattern.test(to.value)) || users.some((pattern) => pattern.test(userId));
}

function patternOf(entry: string, flags: string): RegExp {
  return new RegExp(`^${entry.split('*').map(literally).join('.*')}$`, flags);
}

function literally(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}
