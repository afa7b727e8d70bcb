import type {
  ChannelName,
  InboxFilter,
  Json as ServerJson,
  Notification as ServerNotification,
  Preferences as ServerPreferences,
} from '@carillon/contracts';
import { expect, test } from '@jest/globals';
import type { Channel, Filter, Json, Notification, Preferences } from './index.js';

/** Whether two types are the same, both ways and to the letter. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : never;
/** A type without what tells how it came about. */
type Plain<T> = { [K in keyof T]: T[K] };
/** An optional field of ours is left out, one of zod may also be undefined. */
type Given<T> = { [K in keyof T]-?: Exclude<T[K], undefined> };

test('the types of the client are those of the service', () => {
  const channel: Same<Channel, ChannelName> = true;
  const notification: Same<Plain<Notification>, Plain<ServerNotification>> = true;
  const filter: Same<Given<Filter>, Given<InboxFilter>> = true;
  const json: [Json, ServerJson] extends [ServerJson, Json] ? true : never = true;
  const ours = (given: Preferences): ServerPreferences => given;
  const theirs = (given: ServerPreferences): Given<Preferences> => given as Given<typeof given>;
  expect([channel, notification, filter, json, ours({}), theirs({})]).toEqual([true, true, true, true, {}, {}]);
});
