import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { CarillonError } from '@carillon/contracts';
import { createDeliveries } from '@carillon/deliveries';
import { connectProducer } from '@carillon/producer';
import { createRedis } from '@carillon/redis';
import { createTemplates } from '@carillon/templates';
import { type SecureRedis, type SpawnedProcess, startSecureRedis } from '@carillon/testkit';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { encryptionKeys, end, hello, settled, signIn, startRole } from './system.js';

const page = readFileSync(new URL('../../../docs/redis.md', import.meta.url), 'utf8');
const rules = (page.match(/```acl\n([\s\S]*?)```/)?.[1] ?? '').trim().split('\n');
const roles = rules.map((rule) => rule.split(' ')[1] as string);
const passwords = new Map(roles.map((role) => [role, randomBytes(32).toString('base64url')]));

/** A channel with a provider that is not called. */
const sandbox = {
  NOTIFICATION_DELIVERY: 'sandbox',
  NOTIFICATION_RATE_EMAIL: '100/s',
  NOTIFICATION_PUBLIC_URL: 'https://clinic.example',
  SENDGRID_API_KEY: 'SG.none',
  EMAIL_FROM_ADDRESS: 'office@clinic.example',
};

/** One Redis with TLS and the users of docs/redis.md, every role as its own user, all of them in production. */
describe('on a Redis with TLS and a user per role', () => {
  let server: SecureRedis;
  const processes: SpawnedProcess[] = [];
  const urlOf = (role: string) => server.secureUrl(role, passwords.get(role) as string);
  const trusted = (role: string) => `${urlOf(role)}?ca=${server.caFile}`;
  const ownRedis = (role: string) => createRedis({ url: trusted(role) }, { prefix: 'notification:', temper: 'prompt' });

  beforeAll(async () => {
    const config = rules.map((rule) => rule.replace(/>\S+/, `>${passwords.get(rule.split(' ')[1] as string)}`));
    server = await startSecureRedis({ config });
  });
  afterAll(async () => {
    await Promise.all(processes.map(end));
    await server.stop();
  });

  function start(app: Parameters<typeof startRole>[0], role: string, more: Record<string, string> = {}): SpawnedProcess {
    const production = { NODE_ENV: 'production', NOTIFICATION_PHI_POLICY: 'standard', NOTIFICATION_ACCEPT_RISK: 'plain-ws' };
    const process = startRole(app, { redisUrl: urlOf(role) }, { ...production, NODE_EXTRA_CA_CERTS: server.caFile, ...more });
    processes.push(process);
    return process;
  }

  test('notifications come from a producer to a socket and to a mail provider, and no role asks for more than it has', async () => {
    const gateway = start('gateway', 'gateway');
    start('renderer', 'renderer');
    start('in-app', 'channel');
    start('email', 'channel', sandbox);
    const api = await ownRedis('api');
    const templates = await createTemplates(api);
    const deliveries = createDeliveries({ redis: api, retention: 3_600_000 });
    await templates.register({ ...hello, channels: ['in_app', 'email'] });
    const [, port] = await gateway.ready(/"port":(\d+)/);
    const { client } = await signIn(`ws://127.0.0.1:${port}`, 'anna');
    const producer = await connectProducer({ redisUrl: trusted('producer'), encryptionKeys });
    const to = { email: 'anna@clinic.example' };
    const ids: string[] = [];
    for (let i = 0; i < 20; i++)
      ids.push(await producer.queueNotification({ userId: 'anna', templateId: 'hello', data: { name: `${i}` }, cancellationKey: 'k', to }));
    await client.next((frame) => frame.type === 'notification' && frame.offset === 20, 60_000);
    for (const id of ids) await settled({ deliveries }, id, 'email', 'sent');
    expect(await client.request({ type: 'markAsRead', notificationId: ids[0] as string })).toMatchObject({ type: 'ok' });
    expect(await client.request({ type: 'getNotifications' })).toMatchObject({ type: 'notifications', unreadCount: 19 });
    expect((await producer.cancel({ cancellationKey: 'k' })).alreadySent).toHaveLength(20);
    expect(await refused()).toEqual([]);
    client.socket.terminate();
    await producer.close();
    await templates.close();
    await api.close();
  });

  /** What Redis answers this role, as a text. */
  async function answerTo(role: string, command: string, ...args: string[]): Promise<string> {
    const redis = await ownRedis(role);
    const failed = (error: CarillonError) => (error.cause instanceof Error ? error.cause.message : String(error));
    const answer = await redis.command(command, ...args).then(String, failed);
    await redis.close();
    return answer;
  }

  test.each(roles)('%s may do nothing administrative', async (role) => {
    for (const command of ['CONFIG GET *', 'FLUSHALL', 'FLUSHDB', 'KEYS *', 'SLOWLOG GET', 'ACL LIST', 'CLIENT LIST', 'SHUTDOWN'])
      expect(`${command}: ${await answerTo(role, ...(command.split(' ') as [string]))}`).toContain(': NOPERM');
  });

  test.each<[string, string, ...string[]]>([
    ['producer', 'HGETALL', 'notification:notifications:{anna}'],
    ['producer', 'HGETALL', 'notification:person:{anna}'],
    ['producer', 'HSET', 'notification:template:{hello}', 'a', 'b'],
    ['renderer', 'HGETALL', 'notification:notifications:{anna}'],
    ['renderer', 'PUBLISH', 'notification:inbox:{anna}', 'x'],
    ['gateway', 'ZADD', 'notification:{render-0}:render-0:prioritized', '1', 'x'],
    ['gateway', 'HGETALL', 'notification:person:{anna}'],
    ['gateway', 'DEL', 'notification:revoked:{anna}'],
    ['channel', 'SET', 'notification:revoked:{anna}', '0'],
    ...['producer', 'renderer', 'channel', 'gateway'].flatMap((role): [string, string, ...string[]][] => [
      [role, 'SCAN', '0'],
      [role, 'RANDOMKEY'],
    ]),
    ['api', 'GET', 'another-installation:x'],
  ])('%s may not %s %s', async (role, command, ...args) => {
    expect(await answerTo(role, command, ...args)).toMatch(/^NOPERM/);
  });

  /** What users were refused so far: who, and what. */
  async function refused(): Promise<string[]> {
    const redis = await createRedis({ url: server.url }, { prefix: 'x', temper: 'prompt' });
    const entries = await redis.command<unknown[][]>('ACL', 'LOG');
    await redis.close();
    return entries.map((entry) => {
      const field = (name: string) => entry[entry.indexOf(name) + 1];
      return `${field('username')}: ${field('reason')} ${field('object')}`;
    });
  }
});
