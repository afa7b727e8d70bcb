import { randomBytes, randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openAudit } from '@carillon/audit';
import { redisBinary, startRedisServer } from '@carillon/embedded';
import { createDetector } from '@carillon/redaction';
import { createRedis, type Redis } from '@carillon/redis';
import { connectVault, type PersonKey } from '@carillon/vault';
import { REDIS_CONFIG } from './system.js';
import { request, template, userName } from './workload.js';

/** What protecting people costs a notification in CPU, µs, measured by itself in this process. */
export interface Protection {
  /** Each of the three places where it waits or stays (render job, channel job, inbox) is sealed and opened once. */
  readonly sealing: number;
  /** Queued and delivered, each in a record of the trail. */
  readonly audit: number;
  /** The detector over one mail: subject, text and HTML. */
  readonly detector: number;
  /** A person's key made, and fetched by another process: once per person, and once per person, process and minute. */
  readonly keyMade: number;
  readonly keyFetched: number;
}

/** Notifications of one measurement; the first tenth warms up. */
const COUNT = 20_000;
/** People whose keys are made and fetched. */
const PEOPLE = 2000;
/** Milliseconds the audit trail is kept: nothing is trimmed meanwhile. */
const RETENTION = 24 * 3600 * 1000;
const PREFIX = 'notification:';

/** Measures it on a Redis of its own. */
export async function measureProtection(): Promise<Protection> {
  const dir = mkdtempSync(join(tmpdir(), 'carillon-bench-'));
  const server = await startRedisServer({ binary: await redisBinary(), dir, config: REDIS_CONFIG });
  const redis = await createRedis({ url: server.url }, { prefix: PREFIX, temper: 'prompt' });
  try {
    const keys = await measureKeys(redis);
    return { sealing: await measureSealing(redis), audit: await measureAudit(redis), detector: measureDetector(), ...keys };
  } finally {
    await redis.close();
    await server.stop();
    rmSync(dir, { recursive: true, force: true });
  }
}

const encryptionKeys = `bench:${randomBytes(32).toString('base64')}`;
const open = (redis: Redis) => connectVault({ encryptionKeys, redisPrefix: PREFIX }, { redis, defer: () => {} });

/** CPU of this process, µs for each of `count`. */
async function cpuOf(count: number, run: () => Promise<unknown> | unknown): Promise<number> {
  const before = process.cpuUsage();
  await run();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / count;
}

async function measureKeys(redis: Redis): Promise<Pick<Protection, 'keyMade' | 'keyFetched'>> {
  const [maker, other] = [await open(redis), await open(redis)];
  const people = Array.from({ length: PEOPLE }, (_, i) => `person-${i}`);
  return {
    keyMade: await cpuOf(PEOPLE, () => maker.people(people, 'make')),
    keyFetched: await cpuOf(PEOPLE, () => other.people(people, 'leave')),
  };
}

async function measureSealing(redis: Redis): Promise<number> {
  const vault = await open(redis);
  const keys = await vault.people(
    Array.from({ length: COUNT }, (_, i) => userName(i)),
    'make',
  );
  const items = Array.from({ length: COUNT }, (_, index) => {
    const { userId, ...rest } = request(index);
    const id = randomUUID();
    const item = { id, userId, ...rest, channels: ['in_app'], priority: 'normal', createdAt: Date.now() };
    const { title, body } = template;
    return {
      id,
      key: keys.get(userId) as PersonKey,
      item: JSON.stringify(item),
      rendered: JSON.stringify({ ...item, content: { title, body } }),
    };
  });
  const through = ({ id, key, item, rendered }: (typeof items)[number]) => {
    key.open('job', `render ${id}`, key.seal('job', `render ${id}`, item));
    key.open('job', `in_app ${id}`, key.seal('job', `in_app ${id}`, rendered));
    key.open('inbox', id, key.seal('inbox', id, rendered));
  };
  items.slice(0, COUNT / 10).forEach(through);
  return cpuOf(COUNT, () => items.forEach(through));
}

async function measureAudit(redis: Redis): Promise<number> {
  const trail = await openAudit({ redis, sink: 'redis', retention: RETENTION, writer: 'bench' });
  const actor = { type: 'system', name: 'bench' } as const;
  const through = () => {
    const ids = [randomUUID()];
    trail.note({ actor, action: 'notification.queued', ids });
    trail.note({ actor, action: 'delivery.settled', ids, about: { channel: 'in_app', status: 'delivered' } });
  };
  for (let i = 0; i < COUNT / 10; i++) through();
  const cost = await cpuOf(COUNT, async () => {
    for (let i = 0; i < COUNT; i++) through();
    await trail.keep({ actor, action: 'audit.viewed' });
  });
  await trail.close();
  return cost;
}

function measureDetector(): number {
  const detector = createDetector();
  const text =
    'You have an appointment with Dr. Smith on 2025-03-15 at 2:00 PM, room 12. Order 4711-0815, 12.50 EUR. Call us: +1 202 555 0143.';
  const mail = [template.title, `${text}\n`.repeat(3), `<p>Dear Ada,</p><p>${text}</p>`.repeat(10)];
  const count = COUNT / 20;
  const look = () => {
    for (const part of mail) detector.detect(part);
  };
  for (let i = 0; i < count / 10; i++) look();
  const before = process.cpuUsage();
  for (let i = 0; i < count; i++) look();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / count;
}

/** What it costs, in words; beside all a notification costs (µs of CPU), where that was measured. */
export function tellProtection({ sealing, audit, detector, keyMade, keyFetched }: Protection, serverCpu: number | undefined): string {
  const share = (cost: number) => (serverCpu === undefined ? '' : ` (${((100 * cost) / serverCpu).toFixed(0)} %)`);
  const part = (cost: number) => `${cost.toFixed(1)} µs${share(cost)}`;
  const whole = serverCpu === undefined ? '' : `, of these ${serverCpu.toFixed(0)} µs of CPU per notification`;
  return `Protection, measured by itself${whole}: sealing ${part(sealing)}, audit ${part(audit)}. A mail besides costs
the detector ${detector.toFixed(1)} µs; a person's key ${keyMade.toFixed(0)} µs when it is made and ${keyFetched.toFixed(0)} µs a minute in each process that uses it.`;
}
