import { CarillonError } from '@carillon/contracts';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createApi } from '../src/index.js';
import { type RunningApi, startApi } from './running-api.js';

let running: RunningApi;
beforeAll(async () => {
  running = await startApi();
});
afterAll(() => running.close());

const linkFor = (userId: string, category?: string) =>
  `/unsubscribe/${running.directory.unsubscribeToken({ userId, channel: 'email', ...(category !== undefined && { category }) })}`;
const call = (method: 'GET' | 'HEAD' | 'POST', url: string, payload?: string, type = 'application/x-www-form-urlencoded') =>
  running.api.inject({ method, url, ...(payload !== undefined && { payload, headers: { 'content-type': type } }) });

test('looking at the link shows a form and changes nothing', async () => {
  const link = linkFor('canary-user', 'canary-category');
  for (const method of ['GET', 'HEAD', 'GET'] as const) {
    const page = await call(method, link);
    expect(page.statusCode).toBe(200);
    expect(page.headers['content-type']).toContain('text/html');
    expect(page.body).not.toContain('canary');
    if (method === 'GET') expect(page.body).toContain('<form method="post">');
  }
  expect(await running.directory.preferences('canary-user')).toEqual({});
});

test('one click unsubscribes (RFC 8058): a form of either kind, without cookie or login, as often as one likes', async () => {
  const multipart = '--x\r\nContent-Disposition: form-data; name="List-Unsubscribe"\r\n\r\nOne-Click\r\n--x--\r\n';
  for (const [userId, payload, type] of [
    ['ann', 'List-Unsubscribe=One-Click', 'application/x-www-form-urlencoded'],
    ['ann', 'List-Unsubscribe=One-Click', 'application/x-www-form-urlencoded'],
    ['bob', multipart, 'multipart/form-data; boundary=x'],
    ['eve', undefined, undefined],
  ] as const) {
    const done = await call('POST', linkFor(userId, 'news'), payload, type);
    expect(done.statusCode).toBe(200);
    expect(done.headers['content-type']).toContain('text/html');
    const { categories } = await running.directory.preferences(userId);
    expect(categories?.news).toEqual({ email: false });
  }
});

test('over a socket, a body without a content type is no hindrance', async () => {
  const { port } = await running.api.listen();
  const url = `http://127.0.0.1:${port}${linkFor('sam', 'news')}`;
  const done = await fetch(url, { method: 'POST', body: Buffer.from('List-Unsubscribe=One-Click') });
  expect(done.status).toBe(200);
  expect(await done.text()).toContain('Unsubscribed');
  expect(await running.directory.preferences('sam')).toEqual({ categories: { news: { email: false } } });
});

test('other wishes of the user stay', async () => {
  await running.directory.setPreferences('kim', { channels: { sms: false }, categories: { visits: true } });
  await call('POST', linkFor('kim', 'news'));
  expect(await running.directory.preferences('kim')).toEqual({
    channels: { sms: false },
    categories: { visits: true, news: { email: false } },
  });
});

test('a link without a category turns the channel off', async () => {
  await call('POST', linkFor('lee'));
  expect((await running.directory.preferences('lee')).channels).toMatchObject({ email: false });
});

test('a link of the longest user id and category works', async () => {
  const userId = '日'.repeat(256);
  expect((await call('POST', linkFor(userId, '日'.repeat(64)))).statusCode).toBe(200);
  expect(await running.directory.preferences(userId)).not.toEqual({});
});

test.each(['GET', 'POST'] as const)('%s of a link that was not made here is a page that says so', async (method) => {
  const link = linkFor('zoe', 'news');
  const altered = `${link.slice(0, -2)}${link.endsWith('AA') ? 'BB' : 'AA'}`;
  for (const url of [altered, '/unsubscribe/x', '/unsubscribe/%3Cscript%3E']) {
    const page = await call(method, url);
    expect(page.statusCode).toBe(404);
    expect(page.headers['content-type']).toContain('text/html');
    expect(page.body).toContain('role="alert"');
    expect(page.body).not.toContain('<script>');
  }
  expect(await running.directory.preferences('zoe')).toEqual({});
});

test('no page may frame it, it runs nothing, is kept nowhere, and its address goes nowhere', async () => {
  for (const url of [linkFor('ann'), '/unsubscribe/x']) {
    const { headers } = await call('GET', url);
    expect(headers['content-security-policy']).toContain("default-src 'none'");
    expect(headers['content-security-policy']).toContain("frame-ancestors 'none'");
    expect(headers).toMatchObject({
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
      'cache-control': 'no-store',
      'x-robots-tag': 'noindex',
    });
  }
});

test('while it cannot be done, mail programs and people are told to come back', async () => {
  const unsubscribe = () => Promise.reject(new CarillonError('REDIS_UNAVAILABLE', { message: 'canary' }));
  const api = createApi({ ...running.parts, directory: { ...running.directory, unsubscribe } }, { port: 0 });
  const page = await api.inject({ method: 'POST', url: linkFor('ann') });
  expect(page.statusCode).toBe(503);
  expect(page.headers['retry-after']).toBe('1');
  expect(page.body).toContain('try again');
  expect(page.body).not.toContain('canary');
  await api.close();
});
