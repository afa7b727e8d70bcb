import type { AuditEvent } from '@carillon/audit';
import { type CarillonError, type ChannelItem, channelDefinition, channelNames, type Template } from '@carillon/contracts';
import { createDeliveries } from '@carillon/deliveries';
import { createDirectory } from '@carillon/directory';
import { createProducer } from '@carillon/producer';
import { channelStage, openQueueViews, runStage } from '@carillon/queue';
import { PII_POLICY_DEFAULT, type PiiDetector, readPiiPolicy } from '@carillon/redaction';
import { createRedis } from '@carillon/redis';
import { type RendererOptions, runRenderer } from '@carillon/renderer';
import { createTemplates, type PhiPolicy } from '@carillon/templates';
import { startRedis, type TestRedis, waitFor } from '@carillon/testkit';
import { memoryVault } from '@carillon/vault/testing';
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';

const CARD = '4111 1111 1111 1111';
const template: Template = {
  id: 'note',
  title: 'For {{name}}',
  body: 'Dear {{name}}, call +1 212 555 2671.',
  channels: ['in_app', 'email', 'push', 'sms'],
  email: { html: '<p>Dear {{name}}, <a href="mailto:office@clinic.example">write</a></p>' },
};

let server: TestRedis;
const ends: (() => unknown)[] = [];
let world = 0;

beforeAll(async () => {
  server = await startRedis();
});
afterEach(async () => {
  for (let end = ends.pop(); end; end = ends.pop()) await end();
});
afterAll(() => server?.stop());

/** A renderer, and workers of all channels that only write down what reaches them. */
async function start({ phiPolicy, ...options }: Pick<RendererOptions, 'piiPolicy' | 'detector'> & { phiPolicy?: PhiPolicy } = {}) {
  const redis = await createRedis({ url: server.url }, { prefix: `w${++world}:`, temper: 'patient' });
  ends.push(redis.close);
  const vault = await memoryVault();
  const deliveries = createDeliveries({ redis, retention: 3_600_000 });
  const directory = createDirectory({ redis, vault });
  const templates = await createTemplates(redis);
  ends.push(templates.close);
  /** A process whose policy may be another one than where they were registered. */
  const rendered = await createTemplates(redis, phiPolicy && { phiPolicy });
  ends.push(rendered.close);
  const producer = createProducer({ redis, vault, templates, deliveries, partitions: 1 });
  ends.push(producer.close);
  const views = await openQueueViews(redis, 1);
  ends.push(views.close);
  const [notes, counts, errors] = [[] as AuditEvent[], [] as unknown[][], [] as CarillonError[]];
  const events = { piiDetected: (...count: unknown[]) => counts.push(count), error: (error: CarillonError) => errors.push(error) };
  const settled: AuditEvent[] = [];
  const audit = { note: (event: AuditEvent) => (event.action === 'delivery.settled' ? settled : notes).push(event) };
  const renderer = await runRenderer({
    redis,
    vault,
    templates: rendered,
    deliveries,
    directory,
    partitions: 1,
    events,
    audit,
    ...options,
  });
  ends.push(() => renderer.close(1000));
  const sent: Record<string, Record<string, string>> = {};
  for (const channel of channelNames) {
    const definition = channelStage(channelDefinition(channel));
    const handle = async (items: readonly ChannelItem[]) => {
      for (const { content } of items) sent[channel] = content;
      return items.map(() => undefined);
    };
    const worker = await runStage({ redis, vault, partitions: 1, concurrency: 1, definition, handle, giveUp: async () => {} });
    ends.push(() => worker.close(1000));
  }
  return {
    directory,
    views,
    notes,
    settled,
    counts,
    errors,
    sent,
    /** Sends one notification and waits until it has been worked off everywhere. */
    async send(data: Record<string, string>, about: Partial<Template> = {}, more: object = {}) {
      await templates.register({ ...template, ...about });
      const to = { email: 'ann@example.com', phone: '+12125552671' };
      const id = await producer.queueNotification({ userId: 'ann', templateId: 'note', data, to, ...more });
      await waitFor(() => views.idle(['render', ...channelNames]), { what: 'it to be worked off' });
      const record = await deliveries.get(id);
      return { id, record, of: (channel: string) => record.deliveries.find((one) => one.channel === channel) };
    },
  };
}

test('masks a card’s number on its way out, in every field, and leaves the inbox as it is', async () => {
  const { send, sent, counts, notes } = await start();
  const { id } = await send({ name: CARD });
  expect(sent.in_app).toMatchObject({ title: `For ${CARD}` });
  expect(sent.email).toEqual({
    subject: 'For [card]',
    text: 'Dear [card], call +1 212 555 2671.',
    html: '<p>Dear [card], <a href="mailto:office@clinic.example">write</a></p>',
  });
  expect(sent.sms).toEqual({ text: 'Dear [card], call +1 212 555 2671.' });
  expect(counts).toEqual([
    ['email', 'card', 'mask', 3],
    ['sms', 'card', 'mask', 1],
  ]);
  const note = { action: 'pii.detected', ids: [id], actor: { type: 'system', name: 'renderer' } };
  expect(notes).toEqual([
    { ...note, about: { channel: 'email', entity: 'card', action: 'mask' } },
    { ...note, about: { channel: 'sms', entity: 'card', action: 'mask' } },
  ]);
});

test('blocks where the policy says so: that delivery fails with the reason, and the others go', async () => {
  const { send, sent, notes, settled } = await start({ piiPolicy: readPiiPolicy('report,ssn:block') ?? PII_POLICY_DEFAULT });
  const { id, of } = await send({ name: 'Ann, SSN 123-45-6789' }, { sms: { text: 'A message waits.' } });
  expect(of('email')).toMatchObject({ status: 'failed', reason: 'PII_DETECTED' });
  expect(sent.email).toBeUndefined();
  expect(sent.sms).toEqual({ text: 'A message waits.' });
  expect(sent.in_app).toMatchObject({ title: 'For Ann, SSN 123-45-6789' });
  expect(notes).toMatchObject([{ about: { channel: 'email', entity: 'ssn', action: 'block' } }]);
  const note = { actor: { type: 'system', name: 'renderer' }, action: 'delivery.settled', ids: [id] };
  expect(settled).toEqual([
    { ...note, about: { channel: 'email', status: 'failed' } },
    { ...note, about: { channel: 'push', status: 'skipped' } },
  ]);
});

test('reports only, where the policy says so', async () => {
  const { send, sent, counts } = await start();
  await send({ name: 'bob@example.org' }, {}, { channels: ['sms'] });
  expect(sent.sms).toEqual({ text: 'Dear bob@example.org, call +1 212 555 2671.' });
  expect(counts).toEqual([['sms', 'email', 'report', 1]]);
});

test('lets through what the template’s author vouches for: its own words, and fields declared to hold it', async () => {
  const { send, sent, counts } = await start({ piiPolicy: readPiiPolicy('mask') ?? PII_POLICY_DEFAULT });
  await send(
    { name: 'ann.lee@example.com', office: 'desk@clinic.example' },
    {
      channels: ['in_app', 'email'],
      fields: { name: { type: 'text', class: 'pii' }, office: { type: 'text', class: 'public' } },
      email: { text: '{{name}}, {{office}}, +49 30 1234567' },
    },
  );
  expect(sent.email).toEqual({ subject: 'For ann.lee@example.com', text: 'ann.lee@example.com, desk@clinic.example, +49 30 1234567' });
  expect(counts).toEqual([]);
});

test('a free text vouches for nothing, whatever a secret field holds that is not shown', async () => {
  const { send, sent, counts, notes, directory } = await start();
  await directory.addDevice('ann', { fcm: { token: 'token-1' } });
  const fields = { ssn: { type: 'text', class: 'phi' }, card: { type: 'text', class: 'pii' }, note: { type: 'text' } } as const;
  const about: Partial<Template> = {
    fields,
    title: 'T',
    body: '{{note}}',
    email: { text: '{{note}}' },
    channels: ['in_app', 'email', 'push', 'sms'],
  };
  const { id } = await send({ ssn: '123-45-6789', card: '', note: 'SSN 123-45-6789 verified' }, about);
  const masked = 'SSN [ssn] verified';
  expect(sent.in_app?.body).toBe('SSN 123-45-6789 verified');
  expect([sent.email?.text, sent.push?.body, sent.sms?.text]).toEqual([masked, masked, masked]);
  expect(counts).toEqual([
    ['email', 'ssn', 'mask', 1],
    ['push', 'ssn', 'mask', 1],
    ['sms', 'ssn', 'mask', 1],
  ]);
  expect(notes).toMatchObject(
    ['email', 'push', 'sms'].map((channel) => ({ ids: [id], about: { channel, entity: 'ssn', action: 'mask' } })),
  );

  // What may go by mail is vouched for there only, and not where the secret one holds it too.
  await send({ ssn: 'none', card: CARD, note: `Paid with ${CARD}` }, about);
  expect([sent.email?.text, sent.sms?.text]).toEqual([`Paid with ${CARD}`, 'Paid with [card]']);
  await send({ ssn: CARD.replaceAll(' ', ''), card: CARD, note: `Paid with ${CARD}` }, about);
  expect([sent.email?.text, sent.sms?.text]).toEqual(['Paid with [card]', 'Paid with [card]']);
});

test('does not take a card’s number for anyone’s business, whatever its field was declared to be', async () => {
  const { send, sent } = await start();
  await send({ name: CARD }, { fields: { name: { type: 'text', class: 'public' } } });
  expect(sent.sms).toEqual({ text: 'Dear [card], call +1 212 555 2671.' });
});

test('finds what HTML has escaped, and masks it there', async () => {
  const { send, sent } = await start();
  await send({ name: '<DOB 03/12/1984>' }, { channels: ['email'] });
  expect(sent.email?.html).toBe('<p>Dear &lt;DOB [birth]&gt;, <a href="mailto:office@clinic.example">write</a></p>');
});

test('a masked link is no link', async () => {
  const { send, sent, directory } = await start({ piiPolicy: readPiiPolicy('url:mask') ?? PII_POLICY_DEFAULT });
  await directory.addDevice('ann', { fcm: { token: 'token-1' }, platform: 'ios' });
  await send({ name: 'Ann' }, { push: { body: 'See' } }, { url: 'https://a.example/in?token=abcdef123456', channels: ['push'] });
  expect(sent.push).toEqual({ title: 'For Ann', body: 'See' });
});

test('what is blocked on its only channel has failed, and is no dead letter', async () => {
  const { send, sent, errors } = await start({ piiPolicy: readPiiPolicy('block') ?? PII_POLICY_DEFAULT });
  const { record, of } = await send({ name: CARD }, {}, { channels: ['sms'] });
  expect(of('sms')).toMatchObject({ status: 'failed', reason: 'PII_DETECTED' });
  expect(record.status).toBe('failed');
  expect([sent.sms, errors]).toEqual([undefined, []]);
});

test('what cannot be rendered is a dead letter, whatever fails on another channel', async () => {
  const { send, views, settled, directory } = await start({ phiPolicy: 'strict' });
  await directory.addDevice('ann', { fcm: { token: 'token-1' } });
  const about: Partial<Template> = {
    fields: { name: { type: 'text' }, long: { type: 'text', class: 'public' } },
    ...{ title: 'T', sms: { text: '{{name}}' }, push: { body: '{{long}}' } },
  };
  for (const channels of [
    ['sms', 'push'],
    ['push', 'sms'],
  ]) {
    const { id, record, of } = await send({ name: 'Ann', long: 'x'.repeat(5000) }, about, { channels });
    expect(record.status).toBe('failed');
    expect(of('sms')).toMatchObject({ status: 'failed', reason: 'RENDER_FAILED' });
    expect((await views.failed({ limit: 10 })).data).toContainEqual(expect.objectContaining({ id, code: 'RENDER_FAILED' }));
    expect(settled).toContainEqual(expect.objectContaining({ ids: [id], about: { channel: 'sms', status: 'failed' } }));
  }
});

test('asks a detector from outside instead of the built-in one', async () => {
  const detector: PiiDetector = {
    detect: async (text) => [...text.matchAll(/Ann/g)].map(({ index }) => ({ entity: 'record' as const, start: index, end: index + 3 })),
  };
  const { send, sent, counts, errors } = await start({ detector });
  await send({ name: `Ann ${CARD}` }, {}, { channels: ['sms'] });
  expect(sent.sms).toEqual({ text: `Dear [record] ${CARD}, call +1 212 555 2671.` });
  expect(counts).toEqual([['sms', 'record', 'mask', 1]]);
  expect(errors).toEqual([]);
});

test.each<[string, PiiDetector]>([
  ['throws', { detect: () => Promise.reject(new Error('away')) }],
  ['throws at once', { detect: () => JSON.parse('{') }],
  ['does not answer', { detect: () => new Promise(() => {}) }],
  ['answers nonsense', { detect: () => [{ entity: 'card', start: 9, end: 3 }] }],
])('a detector that %s is told of, and the built-in one answers', async (_what, detector) => {
  const { send, sent, errors } = await start({ detector });
  await send({ name: CARD }, {}, { channels: ['sms'] });
  expect(sent.sms).toEqual({ text: 'Dear [card], call +1 212 555 2671.' });
  expect(errors).toMatchObject([{ code: 'INTERNAL' }]);
});
