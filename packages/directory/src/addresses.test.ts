import { channelDefinition } from '@carillon/contracts';
import { expect, test } from '@jest/globals';
import { addressesFor } from './addresses.js';
import type { Recipient } from './directory.js';

const nobody: Recipient = { profile: {}, preferences: {}, devices: [] };
const phone = { kind: 'fcm', id: 'd1', value: '{"token":"t"}', registeredAt: 1 } as const;
const browser = { kind: 'web', id: 'd2', value: '{}', registeredAt: 2 } as const;
const known: Recipient = { profile: { email: 'ann@example.com', phone: '+15550100' }, preferences: {}, devices: [browser, phone] };

test('a user is reached by the user id', () => {
  expect(addressesFor(channelDefinition('in_app'), 'ann', nobody)).toEqual({ addresses: [{ kind: 'user', value: 'ann' }] });
});

test('mail and phone come from the profile, and first from the request', () => {
  expect(addressesFor(channelDefinition('email'), 'ann', known)).toEqual({ addresses: [{ kind: 'email', value: 'ann@example.com' }] });
  expect(addressesFor(channelDefinition('sms'), 'ann', known)).toEqual({ addresses: [{ kind: 'phone', value: '+15550100' }] });
  const inline = { email: 'other@example.com', phone: '+15550199' };
  const given = { addresses: [{ kind: 'email', value: 'other@example.com', inline: true }] };
  expect(addressesFor(channelDefinition('email'), 'ann', known, inline)).toEqual(given);
  expect(addressesFor(channelDefinition('email'), 'ann', nobody, inline)).toEqual(given);
  expect(addressesFor(channelDefinition('sms'), 'ann', known, { email: 'other@example.com' })).toEqual({
    addresses: [{ kind: 'phone', value: '+15550100' }],
  });
});

test('push reaches every device', () => {
  expect(addressesFor(channelDefinition('push'), 'ann', known)).toEqual({ addresses: [phone, browser] });
  expect(addressesFor(channelDefinition('push'), 'ann', { ...known, devices: [browser] })).toEqual({ addresses: [browser] });
});

test('a channel reaches only the kinds it names', () => {
  const fcmOnly = { ...channelDefinition('push'), addresses: { fcm: 100 } };
  expect(addressesFor(fcmOnly, 'ann', known)).toEqual({ addresses: [phone] });
  expect(addressesFor(fcmOnly, 'ann', { ...known, devices: [browser] })).toEqual({ none: 'no_device' });
});

test.each([
  ['email', 'no_email'],
  ['sms', 'no_phone'],
  ['push', 'no_device'],
] as const)('no address for %s is told as %s', (channel, reason) => {
  expect(addressesFor(channelDefinition(channel), 'ann', nobody)).toEqual({ none: reason });
  expect(addressesFor(channelDefinition(channel), 'ann', nobody, {})).toEqual({ none: reason });
});
