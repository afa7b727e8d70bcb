import { CATEGORIES_MAX, type ChannelName, type Preferences } from '@carillon/contracts';

/** What is to be decided. */
export interface Matter {
  readonly channel: ChannelName;
  readonly category?: string | undefined;
  /** The template is `required`. */
  readonly required?: boolean | undefined;
}

/**
 * Whether a user wants to hear of something on a channel. What is required always passes. Apart from that, off is stronger than on: muted, the
 * channel off, the category off, or the category off on this channel, each suffices. A category that is on for a channel does not overrule the
 * channel being off: whoever turned off mail gets none.
 */
export function wants(preferences: Preferences, { channel, category, required }: Matter): boolean {
  if (required) return true;
  if (preferences.mute || preferences.channels?.[channel] === false) return false;
  const entry = categoryOf(preferences, category);
  return typeof entry === 'object' ? entry[channel] !== false : entry !== false;
}

/**
 * The wishes with the category (without one: the channel) turned off; the very same object if it was off already. Where there is no room for
 * one more category the channel is turned off: who wants out is let out.
 */
export function without(preferences: Preferences, { channel, category }: Omit<Matter, 'required'>): Preferences {
  const { channels, categories } = preferences;
  if (category === undefined) {
    return channels?.[channel] === false ? preferences : { ...preferences, channels: { ...channels, [channel]: false } };
  }
  const entry = categoryOf(preferences, category);
  const byChannel = typeof entry === 'object' ? entry : {};
  if (entry === false || byChannel[channel] === false) return preferences;
  if (entry === undefined && Object.keys(categories ?? {}).length >= CATEGORIES_MAX) return without(preferences, { channel });
  // A computed name makes a field of its own even of `__proto__`.
  return { ...preferences, categories: { ...categories, [category]: { ...byChannel, [channel]: false } } };
}

/** Categories have names of people's own choice: `constructor` is one, and no category until somebody says so. */
function categoryOf({ categories }: Preferences, category: string | undefined) {
  return categories !== undefined && category !== undefined && Object.hasOwn(categories, category) ? categories[category] : undefined;
}
