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

/** One notification on all its channels. What cannot be rendered on one fails there and the others go. @throws RENDER_FAILED if it can on none */
export function routeAll(
  template: CompiledTemplate,
  item: RenderItem,
  channels: readonly ChannelName[],
  recipient: Recipient,
): [ChannelName, Routed][] {
  let failure: CarillonError | undefined;
  const routed = channels.map((channel): [ChannelName, Routed] => {
    try {
      return [channel, route(template, item, channel, recipient)];
    } catch (thrown) {
      failure = toCarillonError(thrown);
      if (failure.verdict !== 'never') throw failure;
      return [channel, settled(item, channel, 'failed', failure.code)];
    }
  });
  // Where nothing else goes out it is a dead letter.
  if (failure && failure.code !== 'CONTENT_TOO_LARGE' && routed.every(([, { items }]) => items.length === 0)) throw failure;
  return routed;
}

function settled({ id }: RenderItem, channel: ChannelName, status: 'skipped' | 'failed', reason: string): Routed {
  const by = isDirect(channelDefinition(channel)) ? HOUSE : undefined;
  return { items: [], steps: [{ id, channel, status, attempts: 0, reason, by }] };
}

/** One notification on one channel: wanted? where to? saying what? @throws RENDER_FAILED, CONTENT_TOO_LARGE */
function route(template: CompiledTemplate, item: RenderItem, channel: ChannelName, recipient: Recipient): Routed {
  const { required } = template.definition;
  if (!wants(recipient.preferences, { channel, category: item.category, required })) return settled(item, channel, 'skipped', 'preference');
  const definition = channelDefinition(channel);
  const found = addressesFor(definition, item.userId, recipient, item.inline);
  if ('none' in found) return settled(item, channel, 'skipped', found.none);
  const said = template.render(definition, item.data, { ...recipient.profile, url: item.url });
  const items = found.addresses.map((to) => toItem(item, said, to, definition.carriesData, required));
  const steps = found.addresses.flatMap((to): Settlement[] =>
    to.id === undefined ? [] : [{ id: item.id, channel, address: to.id, status: 'pending', attempts: 0 }],
  );
  return { items, steps };
}

function toItem(item: RenderItem, said: Rendered, to: Address, carriesData: boolean, required: boolean | undefined): ChannelItem {
  const { data, templateVersion: _version, inline: _inline, ...rest } = item;
  return {
    ...rest,
    ...said,
    ...(to.kind === 'user' ? { claimed: true } : { to }),
    ...(required && { required }),
    ...(carriesData && { data }),
  };
}
