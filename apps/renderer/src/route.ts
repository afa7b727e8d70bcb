import {
  type Address,
  type CarillonError,
  type ChannelItem,
  type ChannelName,
  channelDefinition,
  isDirect,
  type RenderItem,
  toCarillonError,
} from '@carillon/contracts';
import { type Begun, HOUSE, type Settlement } from '@carillon/deliveries';
import { addressesFor, type Recipient, wants } from '@carillon/directory';
import type { Outcome } from '@carillon/redis';
import type { CompiledTemplate, Rendered } from '@carillon/templates';
import type { Tripwire } from './tripwire.js';

/** What one notification becomes on one channel. */
export interface Routed {
  readonly items: ChannelItem[];
  readonly steps: Settlement[];
}

/** Whether a delivery is still to be made: it was not canceled, nor is it done. @throws what kept its claim from being made */
export function isWanted(begun: Outcome<Begun> | undefined): boolean {
  if (begun?.ok === false) throw begun.error;
  return begun?.value.state !== 'ended';
}

/** What ends one delivery as it was meant to, so that there is nothing for a person to try again. */
const MEANT = new Set<string>(['CONTENT_TOO_LARGE', 'PII_DETECTED']);

/**
 * One notification on all its channels; what leaves the house goes through the tripwire. What cannot be rendered on one fails there and the others
 * go. @throws RENDER_FAILED if it goes on none, and on one for that reason
 */
export async function routeAll(
  template: CompiledTemplate,
  item: RenderItem,
  channels: readonly ChannelName[],
  recipient: Recipient,
  tripwire: Tripwire,
): Promise<[ChannelName, Routed][]> {
  let failure: CarillonError | undefined;
  const routed: [ChannelName, Routed][] = [];
  for (const channel of channels) {
    try {
      const made = route(template, item, channel, recipient, tripwire);
      routed.push([channel, made instanceof Promise ? await made : made]);
    } catch (thrown) {
      const error = toCarillonError(thrown);
      if (error.verdict !== 'never') throw error;
      if (!MEANT.has(error.code)) failure = error;
      routed.push([channel, settled(item, channel, 'failed', error.code)]);
    }
  }
  // Where nothing else goes out it is a dead letter.
  if (failure && routed.every(([, { items }]) => items.length === 0)) throw failure;
  return routed;
}

function settled({ id }: RenderItem, channel: ChannelName, status: 'skipped' | 'failed', reason: string): Routed {
  const by = isDirect(channelDefinition(channel)) ? HOUSE : undefined;
  return { items: [], steps: [{ id, channel, status, attempts: 0, reason, by }] };
}

/** One notification on one channel: wanted? where to? saying what? Waits for the tripwire only. @throws RENDER_FAILED, CONTENT_TOO_LARGE, PII_DETECTED */
function route(
  template: CompiledTemplate,
  item: RenderItem,
  channel: ChannelName,
  recipient: Recipient,
  tripwire: Tripwire,
): Routed | Promise<Routed> {
  const { required } = template.definition;
  if (!wants(recipient.preferences, { channel, category: item.category, required })) return settled(item, channel, 'skipped', 'preference');
  const definition = channelDefinition(channel);
  const found = addressesFor(definition, item.userId, recipient, item.inline);
  if ('none' in found) return settled(item, channel, 'skipped', found.none);
  const reader = { ...recipient.profile, url: item.url };
  const said = template.render(definition, item.data, reader);
  const toAll = (saying: Rendered): Routed => ({
    items: found.addresses.map((to) => toItem(item, saying, to, definition.carriesData, required)),
    steps: found.addresses.flatMap((to): Settlement[] =>
      to.id === undefined ? [] : [{ id: item.id, channel, address: to.id, status: 'pending', attempts: 0 }],
    ),
  });
  return isDirect(definition) ? toAll(said) : tripwire({ template, item, definition, reader, said }).then(toAll);
}

function toItem(item: RenderItem, said: Rendered, to: Address, carriesData: boolean, required: boolean | undefined): ChannelItem {
  const { data, url, templateVersion: _version, inline: _inline, ...rest } = item;
  return {
    ...rest,
    ...said,
    // Elsewhere a link is part of what is said, where it may be said.
    ...(to.kind === 'user' ? { claimed: true, ...(url !== undefined && { url }) } : { to }),
    ...(required && { required }),
    ...(carriesData && { data }),
  };
}
