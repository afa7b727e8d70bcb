import { randomUUID } from 'node:crypto';
import type { AuditEvent } from '@carillon/audit';
import { type ChannelItem, email } from '@carillon/contracts';
import { createDeliveries, type Deliveries } from '@carillon/deliveries';
import { channelStage, createStageQueue, pack } from '@carillon/queue';
import { createRedis, type Redis } from '@carillon/redis';
import { runReconciler } from '@carillon/renderer';
import { startRedis, type TestRedis } from '@carillon/testkit';
import { memoryVault } from '@carillon/vault/testing';
import { afterAll, beforeAll, expect, test } from '@jest/globals';

let server: TestRedis;
let redis: Redis;
let deliveries: Deliveries;
let reconciler: Awaited<ReturnType<typeof runReconciler>>;
const vault = await memoryVault();
const notes: AuditEvent[] = [];

beforeAll(async () => {
  server = await startRedis();
  redis = await createRedis({ url: server.url }, { prefix: 'r:', temper: 'prompt' });
  deliveries = createDeliveries({ redis, retention: 3_600_000 });
  reconciler = await runReconciler({ redis, deliveries, partitions: 1, audit: { note: (event) => notes.push(event) } });
});
afterAll(async () => {
  await reconciler?.close();
  await redis?.close();
  await server?.stop();
});

const made = async () => {
  const id = randomUUID();
  await deliveries.create([
    { id, userId: 'u', templateId: 't', templateVersion: 'v', channels: ['email'], createdAt: Date.now() - 60_000 },
  ]);
  return id;
};
const deliveryOf = async (id: string) => (await deliveries.get(id)).deliveries[0];

test('what no queue has a job for ends: failed if nothing was tried, unknown if something was', async () => {
  const [lost, abandoned, queued, done] = [await made(), await made(), await made(), await made()];
  await deliveries.begin([{ id: abandoned, channel: 'email', attempts: 1, lease: 1, by: 'other', open: 'refuse' }]);
  await deliveries.settle([{ id: done, channel: 'email', status: 'sent', attempts: 1 }]);
  const stage = createStageQueue<ChannelItem>({ redis, vault }, channelStage(email), 'email-0');
  const item: ChannelItem = {
    id: queued,
    userId: 'u',
    templateId: 't',
    priority: 'normal',
    channels: ['email'],
    createdAt: 1,
    content: {},
  };
  await stage.add([pack(item)], { jobId: queued, delay: 3_600_000 });
  await stage.queue.close();

  // The abandoned one has just had a step, so it is left alone until it is old as well.
  expect(await reconciler.reconcile(30_000)).toBe(1);
  expect(await deliveryOf(lost)).toMatchObject({ status: 'failed', reason: 'JOB_LOST' });
  expect(await deliveryOf(abandoned)).toMatchObject({ status: 'sending' });
  expect(await deliveryOf(queued)).toMatchObject({ status: 'pending' });
  expect(await deliveryOf(done)).toMatchObject({ status: 'sent' });

  await new Promise((resolve) => setTimeout(resolve, 5));
  expect(await reconciler.reconcile(1)).toBe(1);
  expect(await deliveryOf(abandoned)).toMatchObject({ status: 'unknown', reason: 'OUTCOME_UNKNOWN' });
  expect(await reconciler.reconcile(1)).toBe(0);
  expect(notes).toEqual([
    expect.objectContaining({ action: 'delivery.settled', ids: [lost], about: { channel: 'email', status: 'failed' } }),
    expect.objectContaining({ action: 'delivery.settled', ids: [abandoned], about: { channel: 'email', status: 'unknown' } }),
  ]);
  expect(await deliveryOf(queued)).toMatchObject({ status: 'pending' });
});
