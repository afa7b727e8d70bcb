import { type Redis, userIdIn } from '@carillon/redis';

/** Keys asked for at a time. */
const SCAN_COUNT = 1000;

/** Everybody of whom this Redis holds something, some perhaps twice. Goes through all keys: for a Redis that was restored, not for every day. */
export async function* findPeople(redis: Redis): AsyncGenerator<string> {
  const { prefix } = redis.keys;
  for (const kind of ['person', 'notifications', 'inbox-head', 'told']) {
    for await (const keys of redis.scan(`${escaped(prefix)}${kind}:{*`, SCAN_COUNT)) for (const key of keys) yield userIdIn(key);
  }
}

/** What a pattern of Redis takes for itself. */
const escaped = (text: string) => text.replace(/[*?[\]\\^]/g, (character) => `\\${character}`);
