import { expect, test } from '@jest/globals';
import { createDetector, mask } from './built-in.js';
import type { Entity } from './detector.js';
import { measure } from './measure.js';
import { sentences } from './sentences.js';

const detector = createDetector();
const found = (text: string) => detector.detect(text).map(({ entity, start, end }) => [entity, text.slice(start, end)]);

test.each<[Entity, string, string]>([
  ['card', 'Paid with 4111 1111 1111 1111 today', '4111 1111 1111 1111'],
  ['card', 'amex 3782-822463-10005.', '3782-822463-10005'],
  ['iban', 'Auf DE89 3704 0044 0532 0130 00 BIC COBADEFFXXX', 'DE89 3704 0044 0532 0130 00'],
  ['iban', 'iban gb82west12345698765432', 'gb82west12345698765432'],
  ['ssn', 'is it 123-45-6789?', '123-45-6789'],
  ['ssn', 'SSN: 123456789', '123456789'],
  ['phone', 'ring (212) 555-2671', '(212) 555-2671'],
  ['phone', 'Tel.: +49 (0)30 1234567', '+49 (0)30 1234567'],
  ['phone', 'from 0033 1 42 68 53 00 on', '0033 1 42 68 53 00'],
  ['phone', 'le 06.12.34.56.78', '06.12.34.56.78'],
  ['phone', 'mobile 07911123456', '07911123456'],
  ['email', 'Write to <Ann.O’Neill+news@mail.example.co.uk>.', 'Ann.O’Neill+news@mail.example.co.uk'],
  ['email', 'https://clinic.example/visits?mail=ann@example.com', 'ann@example.com'],
  ['ip', 'from 192.168.0.17:8080', '192.168.0.17'],
  ['ip', 'from [2001:db8::1]:443', '2001:db8::1'],
  ['ip', 'ip:2001:db8:0:0:1:0:0:1,', '2001:db8:0:0:1:0:0:1'],
  ['record', 'MRN: A-123456.', 'A-123456'],
  ['record', 'Patientennummer 0012345', '0012345'],
  ['record', 'NHS number 943 476 5919', '943 476 5919'],
  ['birth', 'DOB 03/12/1984', '03/12/1984'],
  ['birth', 'geboren am 12. März 1984', '12. März 1984'],
  ['birth', 'née le 1er mars 1990', '1er mars 1990'],
  ['url', '(https://clinic.example/in?token=abcdefgh12345)', 'https://clinic.example/in?token=abcdefgh12345'],
  ['url', 'redis://:secret@cache.example:6379/0', 'redis://:secret@cache.example:6379/0'],
  ['url', 'https://v.example/join/8f3kd92ls0q1x7vb2mz4', 'https://v.example/join/8f3kd92ls0q1x7vb2mz4'],
])('finds a %s in “%s”', (entity, text, value) => {
  expect(found(text)).toEqual([[entity, value]]);
});

test.each([
  '3f2b9c1e-7d4a-4b1c-9f3e-2a1b0c9d8e7f',
  '01234567-1234-4123-8123-012345678901',
  'at 2026-03-01T05:10:30.123Z, 2026-03-01 05:10:30, 1772341830123',
  'EUR 1.234.567,89 or $1,234,567.89 or 612 345 678 €',
  'version 10.2.0.1, v1.2.3.4, Chrome/120.0.0.0, 1.2.840.10008.5.1.4',
  'Order no. 4111 1111 1111 1111, tracking 212-555-2671, lot 123-45-6789',
  '4111 1111 1111 1112 and DE88 3704 0044 0532 0130 00',
  '000-12-3456, 666-12-3456, 900-12-3456, 123-00-4567, 123-45-0000',
  '01.02.2026 10:30, 05/06/26 14-16, 03-04-2026',
  'ISBN 978-3-16-148410-0, PZN 01234567, NDC 0777-3105-02',
  'std::vector, a::b, ::, 12:30:45, 00:1A:2B:3C:4D:5E',
  'pino@10.1.0, @types/node, user@localhost, 5 @ 9.50',
  'born to run on 03/12/1984; the policy no longer holds; members since 2019',
  'DOB 31/31/1984, born 1/2/2199',
  'https://clinic.example/v1/notifications/3f2b9c1e-7d4a-4b1c-9f3e-2a1b0c9d8e7f?page=2',
])('finds nothing in “%s”', (text) => {
  expect(found(text)).toEqual([]);
});

test('finds each of several, in order, and none within another', () => {
  const text = 'ann@example.com, DOB 03/12/1984, MRN 123-45-6789, +1 212 555 2671, https://a.example/?token=x1y2z3@b.example';
  expect(detector.detect(text).map(({ entity }) => entity)).toEqual(['email', 'birth', 'record', 'phone', 'url']);
  expect(mask(text, detector.detect(text))).toBe('[email], DOB [birth], MRN [record], [phone], [url]');
});

test.each([
  ['+12125552671', '+12125552672'],
  ['+49 30 1234567', '+49 30 7654321'],
  ['212-555-2671', '(212) 555-2672'],
  ['(212) 555-2671', '212.555.2672'],
  ['612 345 678', '612 345 679'],
  ['01 42 68 53 00', '06.12.34.56.78'],
  ['030 1234567', '0171/7654321'],
  ['+49 30 1234567', '030 7654321'],
  ['+1 212 555 2671', '212-555-2672'],
  ['0033 1 42 68 53 00', '+1 212 555 2672'],
])('finds %s and %s behind each other', (first, second) => {
  for (const between of [' ', ', ', ',', '/', ' / ', '\n', ' - ', ...(/^[+(]/.test(second) ? [''] : [])]) {
    expect([between, ...found(`at ${first}${between}${second}.`)]).toEqual([between, ['phone', first], ['phone', second]]);
  }
});

test('a text without findings stays as it is', () => {
  expect(mask('Room 412', detector.detect('Room 412'))).toBe('Room 412');
  expect(detector.detect('')).toEqual([]);
});

test.each([1, 2, 3])('finds what is in made-up sentences (seed %d)', (seed) => {
  const scores = new Map(measure(detector, sentences(seed, 5000)).map((score) => [score.entity, score]));
  for (const entity of ['card', 'email', 'ssn', 'ip', 'iban'] as const) {
    const score = scores.get(entity);
    expect({ entity, enough: (score?.there ?? 0) > 100 }).toEqual({ entity, enough: true });
    expect(score?.recall).toBeGreaterThanOrEqual(0.95);
    expect(score?.precision).toBeGreaterThanOrEqual(0.98);
  }
  for (const entity of ['phone', 'record', 'birth', 'url'] as const) {
    expect(scores.get(entity)?.recall).toBeGreaterThanOrEqual(0.85);
    expect(scores.get(entity)?.precision).toBeGreaterThanOrEqual(0.85);
  }
});

test('a seed gives the same sentences again, and another gives others', () => {
  expect(sentences(7, 50)).toEqual(sentences(7, 50));
  expect(sentences(7, 50)).not.toEqual(sentences(8, 50));
});

const MIB = 2 ** 20;
/** Beyond linear by far: four times the text would take sixteen times as long. Half a second covers pauses of the machine. */
const GROWTH_MAX = 9;
const PAUSE = 500;
const milliseconds = (unit: string, length: number) => {
  const text = unit.repeat(Math.ceil(length / unit.length)).slice(0, length);
  const start = performance.now();
  detector.detect(text);
  return performance.now() - start;
};

test.each([
  ...['1', '1 ', '12 ', '1-', '1.', '1:', '::', '1::', 'abcd:', '0 ', '(0', '01 ', '030 1234567 ', '0123 4567 ', '123-45-', '4111 '],
  ...['DE89 ', 'DE89 3704 0044 0532 0130 01 ', '+', '+1 ', '+12345678 ', '212-555-', '1.1.1.1.', '01/02/2026 ', 'tel 1234567 ', 'tel '],
  ...['@', 'a@', 'a.a', 'a.a.a@', 'a@a', 'x@y.', 'http://', '://', 'a://', 'http://a?token=', 'born on ', 'MRN: no no ', 'n° de ', '(*'],
  ...['((((', '-', '.', '\n', 'é', '𝒳', '{"a":[', '<p>&#x2F;', ' '],
])('a megabyte of “%s” takes linear time', (unit) => {
  milliseconds(unit, MIB / 64);
  const quarter = milliseconds(unit, MIB / 4);
  expect(milliseconds(unit, MIB)).toBeLessThan(GROWTH_MAX * quarter + PAUSE);
});

/** The longest text a template may render. Each took more than half a second when every candidate was looked up. */
test.each(['+1 2 3 4 5 6 7 8 ', '001 2 3 4 5 6 7 8 ', 'tel 1234567890 ', '111 111 1111, ', 'DE89 3704 0044 0532 0130 01 '])(
  'is soon done with 128 KiB of “%s”',
  (unit) => {
    expect(Math.min(...[1, 2, 3].map(() => milliseconds(unit, MIB / 8)))).toBeLessThan(200);
  },
);

test('among hundreds of numbers that are none it still finds one with a form of its own', () => {
  for (const phone of ['+1 212 555 2671', '212-555-2671', '612 345 678']) {
    const text = `${'tel 1234567890, 111 111 1111, +1 2 3 4 5 6 7 8, 999 99 99 99. '.repeat(300)}; then ${phone}.`;
    expect(found(text).at(-1)).toEqual(['phone', phone]);
  }
});
