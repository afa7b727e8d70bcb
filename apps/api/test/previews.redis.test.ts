import type { Preview } from '@carillon/channel';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { AUTHORIZED, KEY, type RunningApi, startApi } from './running-api.js';

const MAIL: Preview = {
  id: 'email-1',
  userId: 'ann',
  channel: 'email',
  to: 'ada+<b>@clinic.example',
  content: {
    subject: 'Hello <script>alert(1)</script>',
    text: 'Dear </pre> Ada',
    html: '<p id="mail">Dear Ada</p><script>alert(2)</script>',
  },
  at: 1_700_000_000_000,
};
const TEXT: Preview = { id: 'sms-1', userId: 'ann', channel: 'sms', to: '+15550100', content: { text: 'Hi' }, at: 1_700_000_001_000 };

let running: RunningApi;
beforeAll(async () => {
  running = await startApi();
  await running.previews.add([MAIL]);
  await running.previews.add([TEXT]);
});
afterAll(() => running.close());

const get = (url: string, headers: Record<string, string> = AUTHORIZED) => running.api.inject({ method: 'GET', url, headers });
const browser = { accept: 'text/html,application/xhtml+xml' };

test('tools with a key get what is kept as JSON, newest first', async () => {
  const list = await get('/preview/mail', { ...AUTHORIZED, accept: 'application/json' });
  expect(list.json()).toEqual({ data: [TEXT, MAIL], nextCursor: null });
  expect((await get('/preview/mail?limit=1', { ...AUTHORIZED, accept: 'application/json' })).json().data).toEqual([TEXT]);
  expect((await get('/preview/mail/email-1', { ...AUTHORIZED, accept: 'application/json' })).json()).toEqual(MAIL);
  expect((await get('/preview/mail?limit=0')).json()).toMatchObject({ code: 'FIELD_INVALID', field: 'limit' });
});

test('people see a list and each message, and nothing of a message is part of the page', async () => {
  const list = await get('/preview/mail', { ...AUTHORIZED, ...browser });
  expect(list.headers['content-type']).toContain('text/html');
  expect(list.body).toContain('href="/preview/mail/email-1"');
  expect(list.body).toContain('+15550100');
  const page = await get('/preview/mail/email-1', { ...AUTHORIZED, ...browser });
  expect(page.body).toContain('<pre>Dear &#60;/pre&#62; Ada</pre>');
  expect(page.body).toContain('<iframe sandbox src="/preview/mail/email-1/html"');
  expect(page.body).not.toContain('id="mail"');
  for (const { body, headers } of [list, page]) {
    expect(body).not.toMatch(/<script>|<b>/);
    expect(headers['content-security-policy']).toContain("default-src 'none'");
    expect(headers['content-security-policy']).toContain("frame-ancestors 'none'");
    expect(headers['cache-control']).toBe('no-store');
  }
});

test('the HTML of a mail stands alone in a sandbox', async () => {
  const mail = await get('/preview/mail/email-1/html', { ...AUTHORIZED, ...browser });
  expect(mail.body).toBe(MAIL.content.html);
  expect(mail.headers['content-security-policy']).toMatch(/^sandbox; default-src 'none'/);
  expect(mail.headers['x-frame-options']).toBe('SAMEORIGIN');
  expect((await get('/preview/mail/sms-1/html')).statusCode).toBe(404);
});

test('what is not kept is not there', async () => {
  for (const url of ['/preview/mail/nothing', '/preview/mail/nothing/html']) expect((await get(url)).statusCode).toBe(404);
});

test('without session or key nobody sees anything; after signing in people come back here', async () => {
  for (const url of ['/preview/mail', '/preview/mail/email-1', '/preview/mail/email-1/html']) {
    const tool = await get(url, {});
    expect(tool.statusCode).toBe(401);
    expect(tool.body).not.toContain('Ada');
    expect((await get(url, { authorization: 'Bearer wrong' })).statusCode).toBe(401);
    const person = await get(url, browser);
    expect(person.statusCode).toBe(303);
    expect(person.headers.location).toBe('/admin/login?to=/preview/mail');
  }
  expect((await get('/admin/login?to=/preview/mail', browser)).body).toContain('name="to" value="/preview/mail"');
  expect((await get('/admin/login?to=https://evil.example', browser)).body).toContain('name="to" value="/admin/queues"');
  const signedIn = await running.api.inject({
    method: 'POST',
    url: '/admin/login',
    payload: new URLSearchParams({ key: KEY, to: '/preview/mail' }).toString(),
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
  });
  expect(signedIn.headers.location).toBe('/preview/mail');
  const [cookie] = signedIn.cookies;
  const page = await get('/preview/mail', { ...browser, cookie: `${cookie?.name}=${encodeURIComponent(cookie?.value ?? '')}` });
  expect(page.statusCode).toBe(200);
});
