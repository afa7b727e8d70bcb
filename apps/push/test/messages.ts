import type { Message } from '@carillon/channel';
import { messageTo as anyMessageTo } from '@carillon/channel/testing';
import type { Address, ChannelItem } from '@carillon/contracts';

/** A message to a device that reminds of tomorrow. */
export const messageTo = (to: Address, item: Partial<ChannelItem> = {}): Message =>
  anyMessageTo(to, { content: { title: 'Reminder', body: 'Tomorrow 🔔' }, ...item });

export const fcmDevice = (token: string): Address => ({ kind: 'fcm', id: `device of ${token}`, value: JSON.stringify({ token }) });
