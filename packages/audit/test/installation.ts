import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createRedis, type Redis } from '@carillon/redis';
import { type AuditOptions, type AuditRecord, type AuditTrail, chainsInRedis, openAudit } from '../src/index.js';

export const HOUR = 3600_000;
export const backend = { type: 'key', name: 'backend' } as const;

let prefixes = 0;

/** An installation of its own on a Redis, whose rounds come only when they are asked for. */
export async function installation(url: string) {
  const redis = await createRedis({ url }, { prefix: `audit-${++prefixes}:`, temper: 'prompt' });
  const trails: AuditTrail[] = [];
  return {
    redis,
    async trail({ limits, ...options }: Partial<AuditOptions> = {}): Promise<AuditTrail> {
      const trail = await openAudit({
        redis,
        sink: 'redis',
        retention: HOUR,
        writer: 'api',
        limits: { round: HOUR, ...limits },
        ...options,
      });
      trails.push(trail);
      return trail;
    },
    /** A round in which it is this one's turn. */
    async turn(trail: AuditTrail): Promise<void> {
      await redis.command('DEL', redis.keys.auditTurn[0]);
      await trail.round();
    },
    async close(): Promise<void> {
      for (const trail of trails) await trail.close();
      await redis.close();
    },
  };
}

export type Installation = Awaited<ReturnType<typeof installation>>;

export async function textsOf(redis: Redis, writer: string): Promise<string[]> {
  const texts: string[] = [];
  for await (const text of chainsInRedis(redis).records(writer)) texts.push(text);
  return texts;
}

export async function recordsOf(redis: Redis, { writer }: Pick<AuditTrail, 'writer'>): Promise<AuditRecord[]> {
  return (await textsOf(redis, writer)).map((text) => JSON.parse(text));
}

export const folder = () => mkdtempSync(join(tmpdir(), 'carillon-audit-'));
