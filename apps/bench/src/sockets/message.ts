import { randomUUID } from 'node:crypto';

/** What is sent to one socket's user, the same for all sides: 250 bytes of JSON as the peers send it. */
export interface Message {
  readonly id: string;
  readonly userId: string;
  readonly title: string;
  readonly body: string;
  readonly data: { readonly at: string };
  readonly createdAt: number;
}

/** Digits of the time in a message: microseconds since the machine started, for as long as it may run. */
const AT_DIGITS = 16;
/** What stands before the time, in the JSON of every side. */
const BEFORE_AT = '"at":"';

export const userOf = (index: number) => `user-${index}`;

/** A message sent at `at` (µs on the clock all processes share) to the user of a number. */
export function message(user: number, at: number): Message {
  return {
    id: randomUUID(),
    userId: userOf(user),
    title: 'Upcoming Appointment',
    body: 'You have an appointment with Dr. Smith on 2025-03-15 at 2:00 PM',
    data: { at: Math.round(at).toString().padStart(AT_DIGITS, '0') },
    createdAt: Date.now(),
  };
}

/** When the message in a frame was sent, µs. NaN if there is none. */
export function sentAt(bytes: Buffer, start: number, end: number): number {
  const from = bytes.indexOf(BEFORE_AT, start, 'latin1') + BEFORE_AT.length;
  return from < BEFORE_AT.length || from + AT_DIGITS > end ? Number.NaN : Number(bytes.toString('latin1', from, from + AT_DIGITS));
}
