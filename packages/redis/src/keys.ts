/**
 * Every key name, with its hash tag. What must change together shares a tag, and so one slot of a cluster:
 * all of one user's inbox; a delivery record and its idempotency entry; all of one queue partition.
 */
export type Keys = ReturnType<typeof createKeys>;

/** Shards of the delivery records. Part of stored key names: never change it. */
const DELIVERY_SHARDS = 64;

/** Braces would end a hash tag early, and an empty tag would scatter a user over the cluster. */
function encodeTag(userId: string): string {
  if (!/[%{}]/.test(userId)) return userId;
  return userId.replace(/[%{}]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`);
}

/** The shard of a notification id: its last bits, which are random in every id Carillon makes. */
function shard(notificationId: string): number {
  return Number.parseInt(notificationId.slice(-2), 16) % DELIVERY_SHARDS || 0;
}

/** Shelves of the key store. Part of stored key names: never change it. */
const KEY_SHELVES = 64;

/** The shelf of a name in the key store: FNV-1a of its characters, since names of several kinds come in several alphabets. */
function shelf(name: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193);
  return (hash >>> 0) % KEY_SHELVES;
}

/** The user id in the hash tag of one of their keys. */
export function userIdIn(key: string): string {
  return hashTag(key).replace(/%(25|7B|7D)/g, (_, code) => String.fromCharCode(Number.parseInt(code, 16)));
}

/** The hash tag of a key, or the whole key if it has none: keys with equal tags live in one slot. */
export function hashTag(key: string): string {
  const open = key.indexOf('{');
  const close = key.indexOf('}', open + 1);
  return open >= 0 && close > open + 1 ? key.slice(open + 1, close) : key;
}

/** Key names under one prefix. */
export function createKeys(prefix: string) {
  return {
    prefix,
    /**
     * One user's inbox, all under one tag: items (hash: id → state and sealed body), index (sorted set: ids by creation time), gone (sorted
     * set: ids of removed items), head (hash: epoch, offset, unread count, upkeep), log (stream: entry id is `<offset>-0`), channel (pub/sub).
     */
    inbox: (userId: string) => {
      const tag = `{${encodeTag(userId)}}`;
      return [
        `${prefix}notifications:${tag}`,
        `${prefix}inbox-index:${tag}`,
        `${prefix}inbox-gone:${tag}`,
        `${prefix}inbox-head:${tag}`,
        `${prefix}inbox-log:${tag}`,
        `${prefix}inbox:${tag}`,
      ] as const;
    },
    inboxChannel: (userId: string) => `${prefix}inbox:{${encodeTag(userId)}}`,
    /** Hash: what is known of one user, sealed: `profile`, `preferences`, and `device:<id>` for each device. */
    person: (userId: string) => `${prefix}person:{${encodeTag(userId)}}`,
    /** Hash: whose device a push token is. `token` is a keyed hash. */
    deviceOwner: (token: string) => `${prefix}device-owner:${token}`,
    /** String: why nothing may go to an address. `address` is a keyed hash. */
    suppression: (address: string) => `${prefix}suppression:${address}`,
    /** String: one notification's record, a text of lines. */
    delivery: (id: string) => `${prefix}delivery:{d${shard(id)}}:${id}`,
    /** Sorted set: ids of one shard's records in which something may still be open, by creation time. */
    openDeliveries: (id: string) => `${prefix}open:{d${shard(id)}}`,
    /** All of these sets. */
    allOpenDeliveries: Array.from({ length: DELIVERY_SHARDS }, (_, n) => `${prefix}open:{d${n}}`),
    /** String: the mark that a provider's report of a notification was heard. */
    receipt: (id: string, event: string) => `${prefix}receipt:{d${shard(id)}}:${event}`,
    /** Sorted set: ids of the notifications with one cancellation key, named by its hash, by the time they were queued. */
    cancellation: (hash: string) => `${prefix}cancellation:${hash}`,
    /** Strings: when the next call to a channel's providers is due (GCRA), and when whoever was sent away last is to come back. */
    rate: (channel: string) => [`${prefix}rate:{${channel}}`, `${prefix}rate-back:{${channel}}`] as const,
    /** Hash: sealed messages kept for preview; list: their ids, newest first. */
    previews: [`${prefix}previews:{preview}`, `${prefix}preview-ids:{preview}`] as const,
    /** String: held by the process that looks for lost work. */
    reconciler: `${prefix}reconciler`,
    /** String: what an idempotency key was first used for. */
    idempotency: (id: string) => `${prefix}idempotency:{d${shard(id)}}:${id}`,
    /** Hash: `current` and every kept version of a template. */
    template: (templateId: string) => `${prefix}template:{${templateId}}`,
    /** Hash: HTML by the id of its partial. */
    partials: `${prefix}partials`,
    /** Set: ids of all templates. */
    templateIds: `${prefix}templates`,
    /** Pub/sub channel: the id of a template that changed. */
    templateChannel: `${prefix}templates-changed`,
    /** BullMQ's prefix for a queue; BullMQ adds `:<queue>:<part>`. */
    queue: (name: string) => `${prefix}{${name}}`,
    /** String: partitions in use. */
    partitions: `${prefix}partitions`,
    /** String: a keyed hash by which the key store of this installation is known. */
    installation: `${prefix}installation`,
    /** Hash: wrapped keys, or erasures, by name; one of 64 shelves of its kind. */
    keyShelf: (kind: string, name: string) => `${prefix}keys:{k${shelf(name)}}:${kind}`,
    /** All shelves of a kind. */
    allKeyShelves: (kind: string) => Array.from({ length: KEY_SHELVES }, (_, n) => `${prefix}keys:{k${n}}:${kind}`),
    /** String: held by the process whose turn it is to wrap all keys by an encryption key. */
    sweeper: (kid: string) => `${prefix}sweeper:${kid}`,
    /** Hash: erasures that were carried out here, by id, so that a restored Redis, or a restored key store, shows which are to be repeated. */
    erasures: `${prefix}erasures`,
    /** String: held by the process that carries out erasures. */
    eraser: `${prefix}eraser`,
    /** Sorted set: ids of a user's notifications, by creation time. */
    told: (userId: string) => `${prefix}told:{${encodeTag(userId)}}`,
    /** Stream: one chain of the audit trail; an entry's id is `<time>-<seq>`, and the time never goes back. */
    auditChain: (writer: string) => `${prefix}audit:{${writer}}`,
    /** Hash: chains that may still grow: name → its head and when its writer was last seen. */
    auditChains: `${prefix}audit-chains`,
    /** Sorted set: chains that have ended and are still kept, by the time until which they are; a member is `<last record's time> <name>`. */
    auditEnded: `${prefix}audit-ended`,
    /** String: whom a one-time link signs in, sealed. `code` is the hash of the link's code. */
    opening: (code: string) => `${prefix}opening:${code}`,
    /** String: a session that was signed out of, by a hash, until it would have ended. */
    endedSession: (session: string) => `${prefix}session-ended:${session}`,
    /** String: held while it is somebody's turn to look after the chains; list: when the last turns were. */
    auditTurn: [`${prefix}audit-turn`, `${prefix}audit-turns`] as const,
    /** String: since when the client tokens of a user count, ms. Shares the tag of their inbox, on whose channel it is announced. */
    revoked: (userId: string) => `${prefix}revoked:{${encodeTag(userId)}}`,
    /** Hash: how many sockets a user has at each gateway, and until when that counts. */
    sockets: (userId: string) => `${prefix}sockets:{${encodeTag(userId)}}`,
  };
}
