import { randomUUID } from 'node:crypto';
import type { ChannelName, Template } from '@carillon/contracts';
import { createDeliveries, type Deliveries } from '@carillon/deliveries';
import { createDirectory, type Directory } from '@carillon/directory';
import { createProducer, type Producer } from '@carillon/producer';
import { openQueueViews, type QueueViews } from '@carillon/queue';
import { createRedis, type Redis } from '@carillon/redis';
import { runRenderer } from '@carillon/renderer';
import { createTemplates, type Templates } from '@carillon/templates';
import { startRedis, type TestRedis, waitFor } from '@carillon/testkit';
import { memoryVault } from '@carillon/vault/testing';
import { afterAll, beforeAll, expect, test } from '@jest/globals';

let server: TestRedis;
let redis: Redis;
let deliveries: Deliveries;
let directory: Directory;
let templates: Templates;
let producer: Producer;
let views: QueueViews;
const ends: (() => unknown)[] = [];

beforeAll(async () => {
  server = await startRedis();
  ends.push(() => server.stop());
  redis = await createRedis({ url: server.url }, { prefix: 'r:', temper: 'patient' });
  ends.push(() => redis.close());
  const vault = await memoryVault();
  deliveries = createDeliveries({ redis, retention: 3_600_000 });
  directory = createDirectory({ redis, vault });
  templates = await createTemplates(redis);
  ends.push(() => templates.close());
  producer = createProducer({ redis, vault, templates, deliveries, partitions: 1 });
  ends.push(() => producer.close());
  views = await openQueueViews(redis, 1);
  ends.push(() => views.close());
  const renderer = await runRenderer({ redis, vault, templates, deliveries, directory, partitions: 1 });
  ends.push(() => renderer.close(1000));
});
afterAll(async () => {
  for (let end = ends.pop(); end; end = ends.pop()) await end();
});

const channels = ['in_app', 'email', 'push', 'sms'] satisfies ChannelName[];
const register = (id: string, more: Partial<Template> = {}) =>
  templates.register({ id, title: 'A message', body: 'Number {{n}}.', channels, category: 'news', ...more });
async function queued(userId: string, templateId: string, more: object = {}) {
  const id = await producer.queueNotification({ userId, templateId, data: { n: 1 }, ...more });
  await waitFor(() => views.idle(['render']), { what: 'it to be rendered' });
  const { deliveries: list } = await deliveries.get(id);
  return list.map(({ channel, address, status, reason }) => [channel, address, status, reason]);
}

test('goes to every address there is, and skips channels without one', async () => {
  await register('all');
  await directory.setProfile('ann', { email: 'ann@example.com' });
  const phone = await directory.addDevice('ann', { fcm: { token: 'token-1' }, platform: 'ios' });
  const tablet = await directory.addDevice('ann', { fcm: { token: 'token-2' }, platform: 'ios' });
  const list = await queued('ann', 'all');
  expect(list.toSorted()).toEqual(
    [
      ['in_app', null, 'sending', null],
      ['email', null, 'pending', null],
      ['push', phone.id, 'pending', null],
      ['push', tablet.id, 'pending', null],
      ['sms', null, 'skipped', 'no_phone'],
    ].toSorted(),
  );
});

test('keeps to the user’s wishes, but for what is required', async () => {
  await register('wanted');
  await register('alarm', { required: true });
  await directory.setProfile('bob', { email: 'bob@example.com' });
  await directory.setPreferences('bob', { channels: { in_app: false }, categories: { news: { email: false } } });
  expect((await queued('bob', 'wanted')).slice(0, 2)).toEqual([
    ['in_app', null, 'skipped', 'preference'],
    ['email', null, 'skipped', 'preference'],
  ]);
  expect((await queued('bob', 'alarm')).slice(0, 2)).toEqual([
    ['in_app', null, 'sending', null],
    ['email', null, 'pending', null],
  ]);
});

test('an address given with the request goes before the directory’s', async () => {
  await register('inline');
  expect(await queued('cleo', 'inline', { to: { email: 'c@example.com', phone: '+15550100' } })).toEqual([
    ['in_app', null, 'sending', null],
    ['email', null, 'pending', null],
    ['push', null, 'skipped', 'no_device'],
    ['sms', null, 'pending', null],
  ]);
});

test('what is too large for one channel fails there, and the others go', async () => {
  await register('long', { body: '{{n}}'.repeat(10), push: { body: '{{n}}' } });
  await directory.addDevice('dora', { fcm: { token: `token-${randomUUID()}` } });
  const list = await queued('dora', 'long', { data: { n: 'x'.repeat(3000) }, channels: ['in_app', 'push'] });
  expect(list).toEqual([
    ['in_app', null, 'sending', null],
    ['push', null, 'failed', 'CONTENT_TOO_LARGE'],
  ]);
});
