import type { Address, AddressKind, ChannelDefinition, DeliveryReason, InlineAddresses } from '@carillon/contracts';
import type { Recipient } from './directory.js';

/** Why there is no address, by the kind that is missing. A user always has an id. */
const missing: Readonly<Record<Exclude<AddressKind, 'user'>, DeliveryReason>> = {
  email: 'no_email',
  phone: 'no_phone',
  fcm: 'no_device',
  web: 'no_device',
};

/** Where a channel reaches a recipient: at least one address, or the reason why there is none. Inline addresses come before the profile's. */
export function addressesFor(
  definition: ChannelDefinition,
  userId: string,
  recipient: Recipient,
  inline: InlineAddresses = {},
): { readonly addresses: readonly Address[] } | { readonly none: DeliveryReason } {
  const kinds = Object.keys(definition.addresses) as AddressKind[];
  const addresses = kinds.flatMap((kind) => addressesOf(kind, userId, recipient, inline));
  if (addresses.length > 0) return { addresses };
  return { none: missing[kinds[0] as Exclude<AddressKind, 'user'>] };
}

function addressesOf(kind: AddressKind, userId: string, { profile, devices }: Recipient, inline: InlineAddresses): readonly Address[] {
  if (kind === 'user') return [{ kind, value: userId }];
  if (kind !== 'email' && kind !== 'phone') return devices.filter((device) => device.kind === kind);
  const given = inline[kind];
  if (given !== undefined) return [{ kind, value: given, inline: true }];
  const own = profile[kind];
  return own === undefined ? [] : [{ kind, value: own }];
}
