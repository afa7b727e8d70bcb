import { createConnection, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { afterEach, expect, test } from '@jest/globals';
import { type SmtpOptions, type SmtpStandIn, startSmtp } from './smtp.js';

const open: { close(): unknown }[] = [];
afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close();
});

async function start(options?: SmtpOptions): Promise<SmtpStandIn> {
  const smtp = await startSmtp(options);
  open.push(smtp);
  return smtp;
}

/** Speaks SMTP line by line: each call sends a line and gives the last line of the answer, or `closed`. */
function speak(smtp: SmtpStandIn): (line?: string) => Promise<string> {
  const socket: Socket = createConnection(smtp.port, '127.0.0.1');
  socket.on('error', () => undefined);
  open.push({ close: () => socket.destroy() });
  const lines = createInterface({ input: socket })[Symbol.asyncIterator]();
  return async (line) => {
    if (line !== undefined) socket.write(`${line}\r\n`);
    for (;;) {
      const { value, done } = await lines.next();
      if (done) return 'closed';
      if (!/^\d{3}-/.test(value)) return value;
    }
  };
}

const message = 'From: Us <us@clinic.example>\r\nTo: ada@clinic.example\r\nSubject: Hello\r\nX-Long: a\r\n b\r\n\r\ntext\r\n.';

/** Hands one mail over and gives the last answer. */
async function send(smtp: SmtpStandIn, ...[from, to, data, content]: string[]): Promise<string> {
  const say = speak(smtp);
  const steps = [undefined, 'EHLO me', from ?? 'MAIL FROM:<us@clinic.example>', to ?? 'RCPT TO:<ada@clinic.example>', data ?? 'DATA'];
  let answer = '';
  for (const step of [...steps, content ?? message]) {
    answer = await say(step);
    if (!/^[23]/.test(answer)) return answer;
  }
  return answer;
}

test('a mail is taken, parsed and kept', async () => {
  const smtp = await start();
  expect(await send(smtp)).toMatch(/^250/);
  expect(smtp.accepted).toEqual([
    expect.objectContaining({ from: 'us@clinic.example', to: 'ada@clinic.example', headerTo: ['ada@clinic.example'], subject: 'Hello' }),
  ]);
  expect(smtp.accepted[0]?.text?.trim()).toBe('text');
  expect(smtp.accepted[0]?.headers['x-long']).toBe('a b');
  expect(smtp.accepted[0]?.headerNames).toEqual(['from', 'to', 'subject', 'x-long']);
});

test.each(['mail', 'rcpt', 'data'] as const)('an answer scripted for %s is given there, and nothing is kept', async (at) => {
  const smtp = await start();
  smtp.script({ at, code: 451, text: '4.3.0 later' });
  expect(await send(smtp)).toMatch(/^451 4.3.0 later/);
  expect(smtp.accepted).toEqual([]);
  expect(await send(smtp)).toMatch(/^250/);
});

test.each(['mail', 'rcpt', 'data'] as const)('a connection scripted to break at %s does, and nothing is kept', async (at) => {
  const smtp = await start();
  smtp.script({ at, drop: true });
  expect(await send(smtp)).toBe('closed');
  expect(smtp.accepted).toEqual([]);
});

test('a connection that breaks after the mail leaves it accepted', async () => {
  const smtp = await start();
  smtp.script('drop after data');
  expect(await send(smtp)).toBe('closed');
  expect(smtp.accepted).toHaveLength(1);
});

test('a connection can be refused', async () => {
  const smtp = await start();
  smtp.script({ at: 'connect', code: 421 });
  expect(await speak(smtp)()).toMatch(/^421/);
  expect(await send(smtp)).toMatch(/^250/);
  expect(smtp.connections).toBe(2);
});

test('with auth nobody else may send', async () => {
  const smtp = await start({ auth: { user: 'us', pass: 'a b' } });
  expect(smtp.url).toContain('us:a%20b@');
  expect(await send(smtp)).toMatch(/^530/);
  const say = speak(smtp);
  await say();
  await say('EHLO me');
  expect(await say(`AUTH PLAIN ${Buffer.from('\0us\0wrong').toString('base64')}`)).toMatch(/^535/);
  expect(await say(`AUTH PLAIN ${Buffer.from('\0us\0a b').toString('base64')}`)).toMatch(/^235/);
});

test('a step may be delayed, and what is set for otherwise holds when nothing is scripted', async () => {
  const smtp = await start();
  smtp.otherwise = { at: 'connect', code: 421 };
  smtp.script({ delay: 50, next: { at: 'rcpt', code: 450 } });
  const before = Date.now();
  expect(await send(smtp)).toMatch(/^450/);
  expect(Date.now() - before).toBeGreaterThanOrEqual(49);
  expect(await send(smtp)).toMatch(/^421/);
  expect(await send(smtp)).toMatch(/^421/);
});
