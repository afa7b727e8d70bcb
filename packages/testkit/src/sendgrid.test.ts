import { createPublicKey, verify } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { type SendGridStandIn, startSendGrid } from './sendgrid.js';

let sendgrid: SendGridStandIn;
beforeEach(async () => {
  sendgrid = await startSendGrid();
});
afterEach(() => sendgrid.close());

const mail = {
  personalizations: [{ to: [{ email: 'ada@clinic.example' }] }],
  from: { email: 'us@clinic.example' },
  subject: 'Hello',
  content: [
    { type: 'text/plain', value: 'text' },
    { type: 'text/html', value: '<p>html</p>' },
  ],
  headers: { 'List-Unsubscribe': '<https://clinic.example/u>' },
  custom_args: { carillon: 'ref' },
};
const post = (body: unknown, headers: Record<string, string> = {}) =>
  fetch(`${sendgrid.baseUrl}/v3/mail/send`, {
    method: 'POST',
    headers: { authorization: `Bearer ${sendgrid.apiKey}`, 'content-type': 'application/json', ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });
const statuses = () => sendgrid.calls.map(({ status }) => status);

test('what is accepted gets an id of its own and is kept whole', async () => {
  const answers = [await post(mail), await post(mail)];
  expect(answers.map(({ status }) => status)).toEqual([202, 202]);
  const ids = answers.map(({ headers }) => headers.get('x-message-id'));
  expect(new Set(ids).size).toBe(2);
  expect(sendgrid.accepted.map(({ id }) => id)).toEqual(ids);
  expect(sendgrid.accepted[0]).toMatchObject({
    to: 'ada@clinic.example',
    from: 'us@clinic.example',
    subject: 'Hello',
    text: 'text',
    html: '<p>html</p>',
    headers: mail.headers,
    customArgs: mail.custom_args,
    raw: mail,
  });
  expect(sendgrid.calls[0]).toMatchObject({ authorised: true, status: 202 });
});

test.each([
  ['no JSON', 400, 'nonsense'],
  ['a list', 400, []],
  ['no recipient', 400, { ...mail, personalizations: [] }],
  ['more than 1000 personalizations', 400, { ...mail, personalizations: Array(1001).fill(mail.personalizations[0]) }],
  ['an address twice', 400, { ...mail, personalizations: [{ to: [{ email: 'a@b.c' }, { email: 'A@b.c' }] }] }],
  ['no sender', 400, { ...mail, from: undefined }],
  ['a sender that is no address', 400, { ...mail, from: { email: 'us' } }],
  ['a recipient with a line break', 400, { ...mail, personalizations: [{ to: [{ email: 'a@b.c\r\nbcc: d@e.f' }] }] }],
  ['no subject', 400, { ...mail, subject: '' }],
  ['a subject of two lines', 400, { ...mail, subject: 'a\r\nBcc: b@c.d' }],
  ['no content', 400, { ...mail, content: [] }],
  ['empty content', 400, { ...mail, content: [{ type: 'text/plain', value: '' }] }],
  ['HTML before text', 400, { ...mail, content: [...mail.content].reverse() }],
  ['a reserved header', 400, { ...mail, headers: { 'Reply-To': 'x@y.z' } }],
  ['a header of two lines', 400, { ...mail, headers: { 'X-A': 'a\nb' } }],
  ['headers of more than 10,000 bytes', 400, { ...mail, headers: { 'X-A': 'a'.repeat(10_000) } }],
  ['custom args of more than 10,000 bytes', 400, { ...mail, custom_args: { a: 'a'.repeat(10_000) } }],
  ['a custom arg that is no text', 400, { ...mail, custom_args: { a: 1 } }],
  ['a property there is not', 400, { ...mail, customArgs: {} }],
  ['more than 30 MB', 413, `{"a":"${'a'.repeat(31 * 1024 * 1024)}"}`],
])('%s is refused, as SendGrid does', async (_what, status, body) => {
  const answer = await post(body);
  expect(answer.status).toBe(status);
  const { errors } = (await answer.json()) as { errors: object[] };
  expect(errors[0]).toMatchObject({ message: expect.any(String) });
  expect(Object.keys(errors[0] as object).sort()).toEqual(['field', 'help', 'message']);
  expect(sendgrid.accepted).toEqual([]);
});

test('a wrong key, another content type and another path are turned away', async () => {
  expect((await post(mail, { authorization: 'Bearer SG.wrong' })).status).toBe(401);
  expect((await post(mail, { 'content-type': 'text/plain' })).status).toBe(415);
  expect((await fetch(`${sendgrid.baseUrl}/v3/mail`)).status).toBe(404);
  expect(sendgrid.calls.map(({ authorised }) => authorised)).toEqual([false, true, false]);
  expect(sendgrid.accepted).toEqual([]);
});

test('scripted steps come in order, then what is set for otherwise', async () => {
  sendgrid.script({ status: 503 }, { status: 429, headers: { 'Retry-After': '2' }, body: { errors: [] } }, { delay: 50, next: 'accept' });
  expect((await post(mail)).status).toBe(503);
  const limited = await post(mail);
  expect([limited.status, limited.headers.get('retry-after'), await limited.json()]).toEqual([429, '2', { errors: [] }]);
  const before = Date.now();
  expect((await post(mail)).status).toBe(202);
  expect(Date.now() - before).toBeGreaterThanOrEqual(49);
  sendgrid.otherwise = { status: 500 };
  expect((await post(mail)).status).toBe(500);
  sendgrid.reset();
  expect((await post(mail)).status).toBe(202);
});

test('a rule by address holds for that address only', async () => {
  sendgrid.script({ match: 'ada@clinic.example', next: { status: 400 } });
  expect((await post(mail)).status).toBe(400);
  expect((await post({ ...mail, personalizations: [{ to: [{ email: 'bob@clinic.example' }] }] })).status).toBe(202);
  expect((await post(mail)).status).toBe(400);
});

test('a reset before accepting keeps nothing, one after it keeps the mail', async () => {
  sendgrid.script('reset before accept', 'reset after accept', 'hang after accept', 'hang');
  await expect(post(mail)).rejects.toThrow();
  expect(sendgrid.accepted).toHaveLength(0);
  await expect(post(mail)).rejects.toThrow();
  expect(sendgrid.accepted).toHaveLength(1);
  for (const kept of [2, 2]) {
    const hanging = AbortSignal.timeout(100);
    const call = { method: 'POST', headers: { authorization: `Bearer ${sendgrid.apiKey}`, 'content-type': 'application/json' } };
    await expect(fetch(`${sendgrid.baseUrl}/v3/mail/send`, { ...call, body: JSON.stringify(mail), signal: hanging })).rejects.toThrow();
    expect(sendgrid.accepted).toHaveLength(kept);
  }
  expect(statuses()).toEqual(['reset', 'reset', 'hang', 'hang']);
});

test('events are signed over time and raw body, and carry the custom args at the top', async () => {
  await post(mail);
  const [accepted] = sendgrid.accepted;
  const events = [sendgrid.events.of(accepted!, 'delivered'), sendgrid.events.of(accepted!, 'blocked')];
  expect(events[0]).toMatchObject({ event: 'delivered', email: 'ada@clinic.example', carillon: 'ref' });
  expect(events[1]).toMatchObject({ event: 'bounce', type: 'blocked' });
  expect(String(events[0]?.sg_message_id).startsWith(`${accepted?.id}.`)).toBe(true);
  expect(new Set(events.map(({ sg_event_id }) => sg_event_id)).size).toBe(2);

  const key = createPublicKey({ key: Buffer.from(sendgrid.events.publicKey, 'base64'), format: 'der', type: 'spki' });
  const isValid = ({ headers, body }: { headers: Record<string, string>; body: Buffer }) =>
    verify(
      'sha256',
      Buffer.concat([Buffer.from(headers['x-twilio-email-event-webhook-timestamp'] ?? ''), body]),
      key,
      Buffer.from(headers['x-twilio-email-event-webhook-signature'] ?? '', 'base64'),
    );
  const signed = sendgrid.events.signed(events);
  expect(isValid(signed)).toBe(true);
  expect(JSON.parse(signed.body.toString())).toEqual(events);
  expect(isValid({ ...signed, body: Buffer.from(JSON.stringify(events)) })).toBe(false);
  expect(isValid(sendgrid.events.signed(events, { tamper: (body) => Buffer.concat([body, Buffer.from(' ')]) }))).toBe(false);
});

test('events are posted as they are signed, and the answer is given', async () => {
  await post(mail);
  const heard: { headers: IncomingHttpHeaders; body: string }[] = [];
  const server = createServer(async (request, response) => {
    heard.push({ headers: request.headers, body: await text(request) });
    response.writeHead(401).end('no');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const events = [sendgrid.events.of(sendgrid.accepted[0]!, 'open')];
  const { port } = server.address() as AddressInfo;
  const options = { timestamp: 1_700_000_000 };
  expect(await sendgrid.events.deliver(`http://127.0.0.1:${port}/events`, events, options)).toEqual({ status: 401, body: 'no' });
  server.close();
  expect(heard[0]?.headers['x-twilio-email-event-webhook-timestamp']).toBe('1700000000');
  expect(heard[0]?.body).toBe(sendgrid.events.signed(events).body.toString());
});
