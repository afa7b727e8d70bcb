import { randomUUID } from 'node:crypto';
import { createReceive, startChannel } from '@carillon/channel';
import { type ChannelItem, channelDefinition } from '@carillon/contracts';
import { createDeliveries, type Deliveries } from '@carillon/deliveries';
import { createDirectory, type Directory } from '@carillon/directory';
import { channelStage, createStageQueue, pack } from '@carillon/queue';
import { createRedis, type Redis } from '@carillon/redis';
import { type Config, configFromOptions, noLog } from '@carillon/service';
import { sms } from '@carillon/sms';
import {
  redirectHosts,
  startRedis,
  startTwilio,
  type TestRedis,
  type TwilioCallback,
  type TwilioStandIn,
  waitFor,
} from '@carillon/testkit';
import type { Vault } from '@carillon/vault';
import { memoryVault } from '@carillon/vault/testing';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';

const EVENTS = 'https://notify.test/v1/providers/twilio/events';
const NUMBER = '+15551234567';
let server: TestRedis;
let redis: Redis;
let vault: Vault;
let deliveries: Deliveries;
let directory: Directory;
let twilio: TwilioStandIn;
let config: Config;
let prefixes = 0;
const ends: (() => unknown)[] = [];

beforeAll(async () => {
  server = await startRedis();
});
afterAll(() => server?.stop());
beforeEach(async () => {
  twilio = await startTwilio();
  ends.push(() => twilio.close(), redirectHosts(twilio.redirects));
  redis = await createRedis({ url: server.url }, { prefix: `s${++prefixes}:`, temper: 'patient' });
  ends.push(() => redis.close());
  vault = await memoryVault();
  deliveries = createDeliveries({ redis, retention: 3_600_000 });
  directory = createDirectory({ redis, vault });
  const account = { twilioAccountSid: twilio.accountSid, twilioAuthToken: twilio.authToken, twilioFrom: '+15005550006' };
  config = configFromOptions({ ...account, publicUrl: 'https://notify.test' });
  const worker = await startChannel(sms, { config, redis, vault, deliveries, directory, log: noLog, previewWithoutProvider: false });
  ends.push(() => worker.close(1_000));
});
afterEach(async () => {
  for (let end = ends.pop(); end; end = ends.pop()) await end();
});

/** Queues a text message as a renderer does, and answers its id. */
async function text(): Promise<string> {
  const about = { id: randomUUID(), userId: 'ann', templateId: 't', createdAt: Date.now() };
  const to = { kind: 'phone', value: NUMBER, inline: true } as const;
  const item: ChannelItem = { ...about, priority: 'normal', channels: ['sms'], content: { text: 'You have a new message' }, to };
  const stage = createStageQueue<ChannelItem>({ redis, vault }, channelStage(channelDefinition('sms')), 'sms-0');
  await deliveries.create([{ ...about, templateVersion: 'v', channels: ['sms'] }]);
  await stage.add([pack(item)], { jobId: item.id });
  await stage.queue.close();
  return about.id;
}
const reaches = (id: string, status: string) =>
  waitFor(
    async () => {
      const delivery = (await deliveries.get(id)).deliveries[0];
      return delivery?.status === status && delivery;
    },
    { timeout: 20_000, what: `${status} of ${id}` },
  );
/** What the HTTP interface does with what Twilio posts. */
async function post(url: string, { headers, body }: TwilioCallback): Promise<void> {
  const receipts = sms.receivers?.(config).twilio?.read({ url, headers, body: Buffer.from(body) }) ?? [];
  await createReceive({ deliveries, directory, vault })('sms', 'twilio', receipts);
}
const report = (status: string, code?: number) => {
  const message = twilio.accepted.at(-1);
  if (message?.statusCallback === undefined) throw new Error('nothing was sent that asks for reports');
  return post(message.statusCallback, twilio.report(message, status, code));
};

test('a text message is sent, and delivered once Twilio says so', async () => {
  const id = await text();
  const sent = await reaches(id, 'sent');
  expect(sent).toMatchObject({ provider: 'twilio', providerMessageId: twilio.accepted[0]?.sid, attempts: 1 });
  await report('sent');
  await report('delivered');
  await reaches(id, 'delivered');
  await report('sent');
  await reaches(id, 'delivered');
  expect(twilio.accepted).toHaveLength(1);
});

test('two refusals for the moment cost two tries, and the third is sent', async () => {
  twilio.script({ status: 503 }, { status: 503, code: 20500 });
  expect(await reaches(await text(), 'sent')).toMatchObject({ attempts: 3 });
  expect(twilio.accepted).toHaveLength(1);
});

test('what Twilio asks us to wait is a floor', async () => {
  twilio.script({ status: 429, code: 20429, retryAfter: 2 });
  const start = Date.now();
  await reaches(await text(), 'sent');
  expect(Date.now() - start).toBeGreaterThanOrEqual(2_000);
});

test('a message that may have been sent is not sent again, and Twilio’s report settles it', async () => {
  twilio.script('accept, then reset');
  const id = await text();
  expect(await reaches(id, 'unknown')).toMatchObject({ reason: 'PROVIDER_OUTCOME_UNKNOWN' });
  await report('queued');
  expect(await reaches(id, 'sent')).toMatchObject({ providerMessageId: twilio.accepted[0]?.sid });
  expect(twilio.calls()).toBe(1);
});

test('STOP stops the number, START takes it back', async () => {
  await post(EVENTS, twilio.reply(EVENTS, NUMBER, 'STOP'));
  expect(await reaches(await text(), 'skipped')).toMatchObject({ reason: 'suppressed' });
  await post(EVENTS, twilio.reply(EVENTS, NUMBER, 'START'));
  await reaches(await text(), 'sent');
  expect(twilio.accepted).toHaveLength(1);
});

test('a number that is none is tried once and never again', async () => {
  twilio.refuse(NUMBER, 21211);
  expect(await reaches(await text(), 'failed')).toMatchObject({ reason: 'ADDRESS_UNREACHABLE', attempts: 1 });
  expect(await reaches(await text(), 'skipped')).toMatchObject({ reason: 'suppressed' });
  expect(twilio.calls()).toBe(1);
});

test('a number that turns out to be dead is not written to again', async () => {
  const id = await text();
  await reaches(id, 'sent');
  await report('undelivered', 30006);
  expect(await reaches(id, 'bounced')).toMatchObject({ reason: 'ADDRESS_UNREACHABLE' });
  expect(await reaches(await text(), 'skipped')).toMatchObject({ reason: 'suppressed' });
});

test('a number that has texted STOP to Twilio alone is known as unsubscribed, and START takes it back', async () => {
  await directory.setProfile('ann', { phone: NUMBER });
  twilio.refuse(NUMBER, 21610);
  expect(await reaches(await text(), 'failed')).toMatchObject({ reason: 'ADDRESS_UNREACHABLE' });
  expect(await directory.suppression('ann', 'sms')).toMatchObject({ reason: 'unsubscribed', provider: 'twilio' });
});

test('a START that somebody overheard and sends again does not undo a later STOP', async () => {
  await post(EVENTS, twilio.reply(EVENTS, NUMBER, 'STOP'));
  const overheard = twilio.reply(EVENTS, NUMBER, 'START');
  await post(EVENTS, overheard);
  await post(EVENTS, twilio.reply(EVENTS, NUMBER, 'STOP'));
  await post(EVENTS, overheard);
  expect(await reaches(await text(), 'skipped')).toMatchObject({ reason: 'suppressed' });
});
