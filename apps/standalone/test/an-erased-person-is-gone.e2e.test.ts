import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createRedis } from '@carillon/redis';
import { redisValues, startRedis, startSendGrid, TestClient, waitFor } from '@carillon/testkit';
import { expect, test } from '@jest/globals';
import { ask, endings, hello, startStandalone, tokenFor } from './system.js';

const later = endings();
const CANARY = 'CANARY-7d1e';

test('an erased person’s connections, inbox, profile and waiting mail are gone, also from a restored Redis; others keep theirs', async () => {
  const mails: string[] = [];
  const [queues, keys, sendgrid] = await Promise.all([
    startRedis({ config: ['rdbcompression no'] }),
    startRedis(),
    startSendGrid({ heard: (_head, body) => void mails.push(body) }),
  ]);
  const backup = mkdtempSync(join(tmpdir(), 'backup-'));
  later(() => rmSync(backup, { recursive: true }));
  for (const { stop } of [queues, keys]) later(stop);
  later(() => sendgrid.close());
  sendgrid.otherwise = { status: 503 };
  const settings = {
    NOTIFICATION_KEYS_REDIS_URL: keys.url,
    EMAIL_FROM_ADDRESS: 'a@clinic.example',
    SENDGRID_API_KEY: sendgrid.apiKey,
    SENDGRID_BASE_URL: sendgrid.baseUrl,
  };
  let system = await startStandalone({ redisUrl: queues.url }, settings);
  later(() => system.process.kill('SIGKILL'));
  const http = (method: string, path: string, body?: unknown) => ask(`${system.http}${path}`, method, body);
  await http('PUT', '/v1/templates/hello', { title: hello.title, body: hello.body, channels: ['in_app', 'email'] });
  const inboxOf = async (user: string) => (await http('GET', `/v1/users/${user}/notifications`)).body.data;
  const tell = async (user: string, name: string) => {
    const { body } = await http('POST', '/v1/notifications', { userId: user, templateId: 'hello', data: { name } });
    await waitFor(async () => (await inboxOf(user)).some(({ id }: { id: string }) => id === body.id), { what: 'the notification' });
    return body.id as string;
  };
  for (const user of ['ada', 'ben']) await http('PUT', `/v1/users/${user}`, { email: `${user}.${CANARY}@example.com` });
  const token = await tokenFor('ada');
  const socket = await TestClient.connect(system.sockets);
  socket.send({ type: 'authenticate', token });
  await socket.next('authenticated');
  const id = await tell('ada', CANARY);
  await tell('ben', CANARY);
  const exported = await http('GET', '/v1/users/ada/export');
  expect(exported.body).toMatchObject({ profile: { email: `ada.${CANARY}@example.com` }, inbox: [{ id }], deliveries: [{ id }] });
  await waitFor(() => sendgrid.calls.length >= 2, { what: 'mails that cannot be sent now' });
  cpSync(queues.dir, backup, { recursive: true });

  const erased = await http('DELETE', '/v1/users/ada');
  expect(erased.status).toBe(202);
  const askedAt = Date.now();
  expect(await socket.closed).toMatchObject({ code: 3507 });
  expect(Date.now() - askedAt).toBeLessThan(1000);
  const report = (await http('GET', `/v1/erasures/${erased.body.erasureId}`)).body;
  expect(report).toMatchObject({ status: 'erasing', destroyed: { key: true } });
  expect(JSON.stringify(report.remains)).toMatch(/append-only/);
  expect(await inboxOf('ada')).toEqual([]);
  expect((await http('GET', '/v1/users/ada')).status).toBe(404);
  const refused = await http('POST', '/v1/notifications', { userId: 'ada', templateId: 'hello', data: { name: 'x' } });
  expect([refused.status, refused.body.code]).toEqual([409, 'ERASURE_UNDER_WAY']);
  expect((await http('GET', '/v1/audit?action=person.erased')).body.data).toMatchObject([{ users: ['ada'], actor: { name: 'tests' } }]);

  // Somebody restores the queues from before: records and jobs are back, and no key opens them.
  system.process.kill('SIGKILL');
  await system.process.exited;
  await queues.kill();
  rmSync(queues.dir, { recursive: true });
  cpSync(backup, queues.dir, { recursive: true });
  await queues.restart();
  mails.length = 0;
  sendgrid.otherwise = 'accept';
  system = await startStandalone({ redisUrl: queues.url }, settings);
  await waitFor(() => mails.some((mail) => mail.includes('ben.')), { what: 'the other one’s mail', timeout: 60_000 });
  await waitFor(async () => (await inboxOf('ada')).length === 0, { what: 'the repeated erasure' });
  expect((await inboxOf('ben')).map(({ title }: { title: string }) => title)).toEqual([`Hello ${CANARY}`]);
  const late = await TestClient.connect(system.sockets);
  late.send({ type: 'authenticate', token });
  expect((await late.closed).code).toBe(3507);
  expect(mails.join()).not.toContain('ada.');
  const redis = await createRedis({ url: queues.url }, { prefix: 'notification:', temper: 'prompt' });
  later(() => redis.close());
  const stored = await redisValues(redis);
  expect(stored.size).toBeGreaterThan(5);
  expect([...stored.entries()].flat().filter((text) => text.includes(CANARY))).toEqual([]);
});
