import { crc32 } from 'node:zlib';
import { loadScript, type Redis } from '@carillon/redis';

const raiseScript = loadScript(new URL('../lua/raise.lua', import.meta.url));

/** The partition of a user: all that concerns a user waits in one queue per stage. */
export function partitionOf(userId: string, partitions: number): number {
  return partitions === 1 ? 0 : crc32(userId) % partitions;
}

/**
 * Notes how many partitions this process writes to, and answers the most that were ever in use: readers cover them all, so that jobs
 * queued under an older, larger number are not left behind.
 *
 * @throws REDIS_UNAVAILABLE
 */
export function recordPartitions(redis: Redis, partitions: number): Promise<number> {
  return redis.run<number>(raiseScript, { keys: [redis.keys.partitions], args: [partitions] });
}
