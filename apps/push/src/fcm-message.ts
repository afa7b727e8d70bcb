import type { Message } from '@carillon/channel';
import type { Address } from '@carillon/contracts';
import type { Message as FcmMessage } from 'firebase-admin/messaging';
import { shownOf, urgencyOf } from './show.js';

/** Bytes FCM takes without the target; counted here so that what it refuses about a token is about the token. */
const MAX_PAYLOAD = 4096;

/** A device as FCM names it: by registration token, or by installation. */
export type FcmTarget = { readonly token: string } | { readonly fid: string };

/** Reads an address: JSON text `{"token":"…"}` or `{"fid":"…"}`; undefined if it is neither. */
export function readTarget({ value }: Address): FcmTarget | undefined {
  try {
    const { token, fid } = JSON.parse(value) as Record<string, unknown>;
    if (typeof token === 'string' && token) return { token };
    return typeof fid === 'string' && fid ? { fid } : undefined;
  } catch {
    return undefined;
  }
}

/** The message for all platforms; undefined if it is larger than FCM takes. */
export function fcmMessage(message: Message, target: FcmTarget): FcmMessage | undefined {
  const { tag, item } = message;
  const { title, body, ...data } = shownOf(message);
  const isLow = item.priority === 'low';
  const payload = {
    notification: { title, body },
    data,
    // Somebody is to read it now, so a sleeping device is woken for it, unless it may wait. No collapse key: for a device that is away FCM keeps
    // messages of at most four, and the tag alone makes a repeat replace.
    android: { priority: isLow ? 'normal' : 'high', notification: { tag } },
    apns: { headers: { 'apns-collapse-id': tag, 'apns-priority': isLow ? '5' : '10' } },
    webpush: { headers: { Urgency: urgencyOf(item.priority), Topic: tag }, notification: { tag } },
  } as const;
  return Buffer.byteLength(JSON.stringify(payload)) > MAX_PAYLOAD ? undefined : { ...target, ...payload };
}
