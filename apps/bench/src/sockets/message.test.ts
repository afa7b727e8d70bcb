import { expect, test } from '@jest/globals';
import { message, sentAt, userOf } from './message.js';
import { frames, socketIo } from './speech.js';

const whole = (text: string) => [Buffer.from(text), 0, Buffer.byteLength(text)] as const;

test('a message tells when it was sent, on every side', () => {
  const one = message(7, 123_456_789.4);
  expect(one.userId).toBe(userOf(7));
  const texts = [JSON.stringify(one), `{"type":"notification","data":${JSON.stringify(one)}}`, `42["notification",${JSON.stringify(one)}]`];
  for (const text of texts) expect(sentAt(...whole(text))).toBe(123_456_789);
  expect(sentAt(...whole('{"type":"unreadCount"}'))).toBeNaN();
});

test('a message of the peers has 250 bytes, give or take a user', () => {
  expect(Math.abs(JSON.stringify(message(500, 0)).length - 230)).toBeLessThanOrEqual(20);
});

test('frames are told apart', () => {
  const isMessage = (text: string) => frames.isMessage(...whole(text));
  expect(isMessage('{"type":"notification","event":"new"}')).toBe(true);
  for (const other of ['{"type":"notifications","data":[]}', '{"type":"unreadCount"}', '{"type":"ok"}', '{}'])
    expect(isMessage(other)).toBe(false);
  expect(frames.hear('{"type":"authenticated","data":{}}', '')).toEqual({ is: 'welcome' });
  expect(frames.hear('{"type":"error","code":"TOKEN_INVALID"}', '')).toEqual({ is: 'refusal' });
});

test('packets of Socket.IO are told apart', () => {
  expect(socketIo.hello('t')).toBeNull();
  expect(socketIo.hear('0{"sid":"x"}', 't')).toEqual({ answer: '40{"token":"t"}' });
  expect(socketIo.hear('2', 't')).toEqual({ answer: '3' });
  expect(socketIo.hear('40{"sid":"y"}', 't')).toEqual({ is: 'welcome' });
  expect(socketIo.hear('44{"message":"TOKEN_INVALID"}', 't')).toEqual({ is: 'refusal' });
  expect(socketIo.isMessage(...whole('42["notification",{}]'))).toBe(true);
  expect(socketIo.isMessage(...whole('2'))).toBe(false);
});
