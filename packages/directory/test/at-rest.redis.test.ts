import { createDirectory } from '@carillon/directory';
import { createRedis, type Redis } from '@carillon/redis';
import { startRedis } from '@carillon/testkit';
import { memoryVault } from '@carillon/vault/testing';
import { expect, test } from '@jest/globals';

const vault = await memoryVault();
const PREFIX = 'rest-test:';
const canary = (name: string) => `canary-${name}-7f3a`;
const PHONE = '+15550107734';

/** All that is in Redis: names of keys, fields, values; as they are, and what base64 in them stands for. */
async function everything(redis: Redis): Promise<string[]> {
  const found: string[] = [];
  for (const key of await redis.command<string[]>('KEYS', '*')) {
    const type = await redis.command<string>('TYPE', key);
    expect(['string', 'hash']).toContain(type);
    const values = type === 'hash' ? await redis.command<string[]>('HGETALL', key) : [await redis.command<string>('GET', key)];
    found.push(key, ...values);
  }
  return found.flatMap((text) => [text, Buffer.from(text, 'base64').toString('latin1'), Buffer.from(text, 'hex').toString('latin1')]);
}

test('no address, name, token or wish is readable in Redis', async () => {
  const server = await startRedis();
  const redis = await createRedis({ url: server.url }, { prefix: PREFIX, temper: 'prompt' });
  try {
    const directory = createDirectory({ redis, vault });
    const email = `${canary('mail')}@example.com`;
    await directory.setProfile('ann', { email, phone: PHONE, name: canary('name') });
    await directory.setPreferences('ann', { categories: { [canary('category')]: false } });
    await directory.addDevice('ann', { fcm: { token: canary('token') } });
    await directory.addDevice('bo', { fcm: { token: canary('token') } });
    await directory.addDevice('ann', {
      web: {
        endpoint: `https://push.example/${canary('endpoint')}`,
        keys: {
          p256dh: Buffer.alloc(65, canary('point')).toString('base64url'),
          auth: Buffer.alloc(16, canary('auth')).toString('base64url'),
        },
      },
    });
    await directory.suppress('email', email, { reason: 'bounced', provider: 'smtp' });
    await directory.suppress('sms', PHONE, { reason: 'unsubscribed', provider: 'twilio' });
    const dump = await everything(redis);
    expect(dump.filter((text) => text.includes('canary') || text.includes(PHONE.slice(1)))).toEqual([]);
    // The search sees what is there to be seen.
    expect(dump.some((text) => text.includes('unsubscribed'))).toBe(true);
    expect(dump.filter((text) => text.startsWith(`${PREFIX}`)).length).toBe(6);
  } finally {
    await redis.close();
    await server.stop();
  }
});
