import type { Channel, Delivery, DeliveryStatus } from './shapes.js';

export const channelNames: Readonly<Record<Channel, string>> = { in_app: 'In-app', email: 'Email', push: 'Push', sms: 'SMS' };

/** How a status is shown: well, on its way, or not. */
export type Tone = 'good' | 'open' | 'bad' | 'quiet';
const tones: Readonly<Record<string, Tone>> = {
  read: 'good',
  sent: 'good',
  delivered: 'good',
  pending: 'open',
  held: 'open',
  sending: 'open',
  bounced: 'bad',
  failed: 'bad',
  unknown: 'bad',
};
export const toneOf = (status: string): Tone => tones[status] ?? 'quiet';

/** What each status means, where no reason is told. */
export const meanings: Readonly<Record<DeliveryStatus, string>> = {
  pending: 'Queued; its turn has not come yet.',
  held: 'Waits until a provider can take it.',
  sending: 'Is being handed over.',
  sent: 'The provider has taken it.',
  delivered: 'It arrived.',
  bounced: 'The provider took it and could not deliver it.',
  failed: 'It could not be sent.',
  skipped: 'It was not to be sent.',
  canceled: 'It was canceled before it was sent.',
  expired: 'Its time was over before it was sent.',
  unknown: 'Nobody knows yet whether it was sent.',
};

/** Why a delivery stands as it does. Messages kept for preview are not out. */
export function wordsOf({ status, explanation, provider }: Delivery): string {
  if (explanation !== null) return explanation;
  if (status === 'sent' && isKept(provider)) return 'Kept for preview instead of being sent.';
  return meanings[status];
}

/** Whether a provider keeps messages for preview. */
export const isKept = (provider: string | null): boolean => provider === 'preview' || provider === 'sandbox';

/** Whether something may still become of a delivery soon. */
export const isOpen = ({ status }: Delivery): boolean => toneOf(status) === 'open';

const day = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium' });
const clock = new Intl.DateTimeFormat(undefined, { timeStyle: 'medium' });
const full = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'medium' });
/** A day, a time, and both, in the language and the zone of who looks. */
export const dayOf = (ms: number): string => day.format(ms);
export const clockOf = (ms: number): string => clock.format(ms);
export const timeOf = (ms: number): string => full.format(ms);
