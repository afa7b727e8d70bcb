import { type AddressInfo, createServer, type Socket } from 'node:net';
import type { Provider } from '@carillon/channel';
import { never, providerConformance } from '@carillon/channel/testing';
import { freePort, type SmtpOptions as ServerOptions, type SmtpStandIn, type SmtpStep, startSmtp, waitFor } from '@carillon/testkit';
import { afterEach, describe, expect, test } from '@jest/globals';
import { failure, message, send } from '../test/message.js';
import { createSmtp } from './smtp.js';

const open: { close?(): unknown }[] = [];
afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close?.();
});

const provider = (url: string): Provider => {
  const made = createSmtp({ url, from: 'us@clinic.example' });
  open.push(made);
  return made;
};

async function start(options?: ServerOptions): Promise<{ smtp: SmtpStandIn; to: Provider }> {
  const smtp = await startSmtp(options);
  open.push(smtp);
  return { smtp, to: provider(smtp.url) };
}

test('a mail is sent with text before HTML and a Message-ID that names the delivery', async () => {
  const { smtp, to } = await start();
  const content = { subject: 'Grüße 🔔', text: 'text', html: '<p>html</p>' };
  const url = `https://clinic.example/unsubscribe/${'token'.repeat(60)}`;
  expect(await send(to, message({ content, unsubscribeUrl: url }))).toEqual({
    ok: true,
    providerMessageId: 'AAAAAAAAAAAAAAAAAAAAAA@clinic.example',
  });
  const [mail] = smtp.accepted;
  expect(mail).toMatchObject({
    id: 'AAAAAAAAAAAAAAAAAAAAAA@clinic.example',
    from: 'us@clinic.example',
    to: 'ada@home.example',
    subject: 'Grüße 🔔',
  });
  expect([mail?.text?.trim(), mail?.html?.trim()]).toEqual(['text', '<p>html</p>']);
  expect(mail?.raw.indexOf('text/plain')).toBeLessThan(mail?.raw.indexOf('text/html') ?? 0);
  expect(mail?.headers).toMatchObject({ 'list-unsubscribe': `<${url}>`, 'list-unsubscribe-post': 'List-Unsubscribe=One-Click' });
});

test('a template may name sender and reply address; without a link there is nothing to unsubscribe', async () => {
  const { smtp, to } = await start();
  await send(to, message({ options: { from: 'dr@other.example', replyTo: 'desk@clinic.example' } }));
  const [mail] = smtp.accepted;
  expect(mail).toMatchObject({ from: 'dr@other.example', replyTo: 'desk@clinic.example', headerTo: ['ada@home.example'] });
  expect(mail?.id).toBe('AAAAAAAAAAAAAAAAAAAAAA@other.example');
  expect(mail?.headerNames).not.toContain('list-unsubscribe');
  expect(mail).not.toHaveProperty('html');
});

test('a body may hold lines that look like headers, dots and an end of mail', async () => {
  const { smtp, to } = await start();
  const text = 'Bcc: eve@evil.example\r\n\r\n.\r\n.\nMAIL FROM:<eve@evil.example>\r\n';
  expect((await send(to, message({ content: { subject: 'Hello', text } }))).ok).toBe(true);
  expect(smtp.accepted).toHaveLength(1);
  expect(smtp.accepted[0]?.headerNames).not.toContain('bcc');
  expect(smtp.accepted[0]?.text?.trim().split(/\r?\n/)).toEqual(text.trim().split(/\r?\n/));
});

const refusals: [SmtpStep, string][] = [
  [{ at: 'connect', code: 421 }, 'PROVIDER_UNAVAILABLE'],
  [{ at: 'connect', code: 554 }, 'PROVIDER_UNAVAILABLE'],
  [{ at: 'mail', code: 451 }, 'PROVIDER_UNAVAILABLE'],
  [{ at: 'mail', code: 550 }, 'PROVIDER_REFUSED'],
  [{ at: 'mail', code: 530 }, 'PROVIDER_MISCONFIGURED'],
  [{ at: 'rcpt', code: 421 }, 'PROVIDER_UNAVAILABLE'],
  [{ at: 'rcpt', code: 451, text: '4.3.0 lookup failure' }, 'PROVIDER_UNAVAILABLE'],
  // Without a word on the address it may be the server that relays for nobody.
  [{ at: 'rcpt', code: 550, text: 'no such user ada@home.example' }, 'PROVIDER_REFUSED'],
  [{ at: 'rcpt', code: 551 }, 'PROVIDER_REFUSED'],
  [{ at: 'rcpt', code: 553 }, 'PROVIDER_REFUSED'],
  [{ at: 'rcpt', code: 550, text: '5.1.10 null MX' }, 'ADDRESS_UNREACHABLE'],
  [{ at: 'rcpt', code: 550, text: '5.2.1 mailbox disabled' }, 'ADDRESS_UNREACHABLE'],
  [{ at: 'rcpt', code: 550, text: '5.1.4 ambiguous' }, 'PROVIDER_REFUSED'],
  [{ at: 'rcpt', code: 550, text: '5.1.8 bad sender' }, 'PROVIDER_REFUSED'],
  [{ at: 'rcpt', code: 550, text: '5.1.1 no such user' }, 'ADDRESS_UNREACHABLE'],
  [{ at: 'rcpt', code: 550, text: '5.7.1 relaying denied' }, 'PROVIDER_REFUSED'],
  [{ at: 'rcpt', code: 552, text: '5.2.2 mailbox full' }, 'PROVIDER_REFUSED'],
  [{ at: 'rcpt', code: 554 }, 'PROVIDER_REFUSED'],
  [{ at: 'data', code: 421 }, 'PROVIDER_UNAVAILABLE'],
  [{ at: 'data', code: 451 }, 'PROVIDER_UNAVAILABLE'],
  [{ at: 'data', code: 550 }, 'PROVIDER_REFUSED'],
  [{ at: 'data', code: 554 }, 'PROVIDER_REFUSED'],
];
test.each(refusals)('%j is %s: the server has said that it did not take the mail', async (step, code) => {
  const { smtp, to } = await start();
  smtp.script(step);
  expect(failure(await send(to))).toEqual({ code, retryAfter: undefined });
  expect(smtp.accepted).toEqual([]);
  expect((await send(to)).ok).toBe(true);
  expect(smtp.accepted).toHaveLength(1);
});

test.each<[number, string]>([
  [450, '4.2.0 greylisted, come back in five minutes'],
  [450, 'try again later'],
  [451, '4.7.1 greylisted'],
  [452, '4.2.2 mailbox full'],
])('%i %s is a limit of that mailbox, which is left alone for a while', async (code, text) => {
  const { smtp, to } = await start();
  smtp.script({ at: 'rcpt', code, text });
  const sent = await send(to);
  expect(failure(sent)).toEqual({ code: 'PROVIDER_LIMITED', retryAfter: 60_000 });
  expect(sent).toMatchObject({ error: { field: 'to' } });
  expect((await send(to)).ok).toBe(true);
});

const losses: [SmtpStep, string][] = [
  [{ at: 'mail', drop: true }, 'PROVIDER_UNAVAILABLE'],
  [{ at: 'rcpt', drop: true }, 'PROVIDER_UNAVAILABLE'],
  [{ at: 'data', drop: true }, 'PROVIDER_OUTCOME_UNKNOWN'],
  ['drop after data', 'PROVIDER_OUTCOME_UNKNOWN'],
  [{ at: 'connect', hang: true }, 'PROVIDER_UNAVAILABLE'],
  [{ at: 'mail', hang: true }, 'PROVIDER_UNAVAILABLE'],
  [{ at: 'rcpt', hang: true }, 'PROVIDER_UNAVAILABLE'],
  [{ at: 'data', hang: true }, 'PROVIDER_OUTCOME_UNKNOWN'],
];
test.each(losses)('%j on a new connection is %s, and the mail is handed over once at most', async (step, code) => {
  const { smtp, to } = await start();
  smtp.script(step);
  expect(failure(await send(to, message(), AbortSignal.timeout(500))).code).toBe(code);
  expect(smtp.accepted).toHaveLength(step === 'drop after data' ? 1 : 0);
  expect((await send(to)).ok).toBe(true);
});

test.each(['drop after data', { at: 'data', drop: true }] as SmtpStep[])(
  '%j on a kept connection is unknown, and not tried again',
  async (step) => {
    const { smtp, to } = await start();
    await send(to);
    smtp.script(step);
    expect(failure(await send(to)).code).toBe('PROVIDER_OUTCOME_UNKNOWN');
    const taken = smtp.accepted.length;
    expect((await send(to)).ok).toBe(true);
    expect(smtp.accepted).toHaveLength(taken + 1);
  },
);

test('a kept connection that turns out to be closed is replaced at once', async () => {
  const { smtp, to } = await start();
  await send(to);
  smtp.script({ at: 'mail', drop: true });
  expect((await send(to)).ok).toBe(true);
  expect([smtp.accepted.length, smtp.connections]).toEqual([2, 2]);
});

test('connections are reused', async () => {
  const { smtp, to } = await start();
  for (let i = 0; i < 5; i++) expect((await send(to)).ok).toBe(true);
  expect(smtp.connections).toBe(1);
});

test('a refused connection and a name nobody knows are PROVIDER_UNAVAILABLE', async () => {
  for (const url of [`smtp://127.0.0.1:${await freePort()}`, 'smtp://nobody.invalid']) {
    expect(failure(await send(provider(url))).code).toBe('PROVIDER_UNAVAILABLE');
  }
});

test('encryption with a certificate nobody vouches for sends nothing', async () => {
  const { smtp, to } = await start({ starttls: true });
  expect(failure(await send(to)).code).toBe('PROVIDER_UNAVAILABLE');
  expect(smtp.accepted).toEqual([]);
});

test('to another machine nothing goes unencrypted, unless the address says so', async () => {
  const { smtp } = await start();
  // Not the loopback by its name, and led there all the same. The server can do TLS if asked, with a certificate nobody vouches for.
  const url = `smtp://0.0.0.0:${smtp.port}`;
  for (const asked of [url, `${url}?requireTLS=true`]) expect((await send(provider(asked))).ok).toBe(false);
  expect(smtp.accepted).toEqual([]);
  expect((await send(provider(`${url}?requireTLS=false`))).ok).toBe(true);
  expect((await send(provider(`smtp://localhost:${smtp.port}`))).ok).toBe(true);
});

test.each([
  ['502 what is that', 'PROVIDER_MISCONFIGURED'],
  ['454 not now', 'PROVIDER_UNAVAILABLE'],
])('a server that has to encrypt and answers %j is %s', async (answer, code) => {
  const server = createServer((socket: Socket) => {
    socket.on('error', () => undefined);
    socket.on('data', (line) => socket.write(`${String(line).startsWith('EHLO') ? '250 hello' : answer}\r\n`));
    socket.write('220 hello\r\n');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  open.push({ close: () => server.close() });
  const { port } = server.address() as AddressInfo;
  expect(failure(await send(provider(`smtp://0.0.0.0:${port}`))).code).toBe(code);
});

test('an address that cannot be opened sends nothing, and may be closed', async () => {
  const to = createSmtp({ url: 'nonsense', from: 'us@clinic.example' });
  expect(failure(await send(to)).code).toBe('PROVIDER_UNAVAILABLE');
  await to.close?.();
});

test('a server that speaks no SMTP is PROVIDER_UNAVAILABLE', async () => {
  const server = createServer((socket: Socket) => {
    socket.on('error', () => undefined);
    socket.end('hello\r\n');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  open.push({ close: () => server.close() });
  expect(failure(await send(provider(`smtp://127.0.0.1:${(server.address() as AddressInfo).port}`))).code).toBe('PROVIDER_UNAVAILABLE');
});

test('with the right password mails are sent; with a wrong one, or none, it is PROVIDER_MISCONFIGURED', async () => {
  const { smtp, to } = await start({ auth: { user: 'us@clinic.example', pass: 'p@ss:word/%' } });
  expect((await send(to)).ok).toBe(true);
  for (const login of ['us%40clinic.example:wrong@', '']) {
    expect(failure(await send(provider(`smtp://${login}127.0.0.1:${smtp.port}`))).code).toBe('PROVIDER_MISCONFIGURED');
  }
  expect(smtp.accepted).toHaveLength(1);
});

test('a signal given before the call sends nothing; one given while the answer is awaited leaves the outcome unknown', async () => {
  const { smtp, to } = await start({ latency: 60_000 });
  expect(failure(await send(to, message(), AbortSignal.abort())).code).toBe('PROVIDER_UNAVAILABLE');
  expect(smtp.connections).toBe(0);
  const stop = new AbortController();
  const sending = send(to, message(), stop.signal);
  await waitFor(() => smtp.accepted.length, { what: 'the mail' });
  stop.abort();
  expect(failure(await sending).code).toBe('PROVIDER_OUTCOME_UNKNOWN');
});

test('many at once are answered each for itself, in order, over few connections', async () => {
  const { smtp, to } = await start();
  const messages = Array.from({ length: 60 }, (_, i) =>
    message({ to: { kind: 'email', value: i === 7 ? 'no address' : `ada${i}@home.example` } }),
  );
  const sent = await to.send(messages, never);
  expect(sent.map((one) => (one.ok ? 'sent' : one.error.code))).toEqual(messages.map((_, i) => (i === 7 ? 'PROVIDER_REFUSED' : 'sent')));
  expect(new Set(smtp.accepted.map((mail) => mail.to)).size).toBe(59);
  expect(smtp.connections).toBeLessThanOrEqual(10);
});

describe('as every provider, it', () => {
  let n = 0;
  const address = (value = `ada${++n}@home.example`) => ({ kind: 'email', value }) as const;
  const under = async () => {
    const { smtp, to } = await start();
    return { provider: to, address, refused: address('no address'), received: () => smtp.accepted.map(({ raw }) => raw) };
  };
  for (const { name, run } of providerConformance(under)) test(name, run);
});
