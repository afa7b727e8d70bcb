import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CarillonError } from '@carillon/contracts';
import { expect, test } from '@jest/globals';
import { configFromOptions, readConfig } from './config.js';
import { checkStart, examineStart, productionProblems, type RedisFacts } from './production.js';

const random = (bytes: number, encoding: 'base64' | 'base64url') =>
  Buffer.from(crypto.getRandomValues(new Uint8Array(bytes))).toString(encoding);
const strong = () => random(32, 'base64url');
const key = (bytes: Uint8Array | string) => `k1:${Buffer.from(bytes as string).toString('base64')}`;
const noFacts = { redis: {}, sockets: false };
const risksOf = (options: Parameters<typeof configFromOptions>[0], facts = noFacts) =>
  productionProblems(configFromOptions(options), facts).map(({ risk, setting, entry }) => [risk, setting, ...(entry ? [entry] : [])]);
const weak = (options: Parameters<typeof configFromOptions>[0]) => risksOf(options).filter(([risk]) => risk === 'weak-secret');
const tells = (evictionPolicy: string | undefined) => async (): Promise<RedisFacts> => ({ evictionPolicy });
const safe = () => ({
  NODE_ENV: 'production',
  NOTIFICATION_PHI_POLICY: 'strict',
  REDIS_URL: `rediss://user:${strong()}@redis:6379`,
  NOTIFICATION_KEYS_REDIS_URL: 'rediss://keys:6379',
  NOTIFICATION_API_KEYS: `backend:${strong()}`,
  NOTIFICATION_JWT_SECRET: strong(),
  NOTIFICATION_ENCRYPTION_KEYS: `k1:${random(32, 'base64')}`,
});

async function refusal(of: Promise<unknown>): Promise<string[]> {
  const error = await of.catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(CarillonError);
  expect((error as CarillonError).code).toBe('CONFIGURATION_INVALID');
  return (error as CarillonError).message.split('\n');
}

test('what is safe starts without a word', async () => {
  const warned: unknown[] = [];
  const log = { debug() {}, warn: (...line: unknown[]) => void warned.push(line) };
  for (let round = 0; round < 200; round++) await checkStart({ config: readConfig(safe()), probe: tells('noeviction') }, log);
  expect(warned).toEqual([]);
});

test('production says what to do with health information, in so many words', () => {
  const { NOTIFICATION_PHI_POLICY: _, ...undecided } = safe();
  expect(() => readConfig(undecided)).toThrow('NOTIFICATION_PHI_POLICY: must be set in production');
  expect(() => configFromOptions({ production: true })).toThrow('phiPolicy: must be set in production');
  expect(() => readConfig({ ...undecided, NOTIFICATION_ACCEPT_RISK: 'plain-redis,plain-ws,eviction,weak-secret' })).toThrow('PHI_POLICY');
  expect(readConfig({ ...undecided, NODE_ENV: 'test' }).phiPolicy).toBe('standard');
});

test('all problems are refused at once, by setting and risk, without a value', async () => {
  const config = readConfig({
    ...safe(),
    REDIS_URL: 'redis://user:hunter2@a:6379,rediss://b:6379',
    NOTIFICATION_KEYS_REDIS_URL: 'redis://keys:6379',
    NOTIFICATION_API_KEYS: `good:${strong()}, brief:hunter2`,
    NOTIFICATION_JWT_SECRET: 'hunter2',
    NOTIFICATION_ENCRYPTION_KEYS: `${key(new Uint8Array(32))},k2:${random(32, 'base64')}`,
  });
  const lines = await refusal(checkStart({ config, probe: tells('allkeys-lru'), sockets: true }, { warn() {}, debug() {} }));
  expect(lines.map((line) => [line.split(':')[0], line.match(/ACCEPT_RISK=([\w-]+)/)?.[1]])).toEqual([
    ['REDIS_URL', 'plain-redis'],
    ['REDIS_URL', 'eviction'],
    ['NOTIFICATION_KEYS_REDIS_URL', 'plain-redis'],
    ['NOTIFICATION_KEYS_REDIS_URL', 'eviction'],
    ['NOTIFICATION_WS_PORT', 'plain-ws'],
    ['NOTIFICATION_API_KEYS', 'weak-secret'],
    ['NOTIFICATION_JWT_SECRET', 'weak-secret'],
    ['NOTIFICATION_ENCRYPTION_KEYS', 'weak-secret'],
  ]);
  expect(lines[5]).toContain('entry 2 ');
  expect(lines.join()).not.toContain('hunter2');
});

test('what is accepted by name is a warning, the rest is refused still', async () => {
  const given = { ...safe(), REDIS_URL: 'redis://a:6379', NOTIFICATION_ACCEPT_RISK: 'plain-redis, eviction' };
  const check = { config: readConfig(given), probe: tells('volatile-lru') };
  const { refused, accepted } = await examineStart(check);
  expect(refused).toEqual([]);
  expect(accepted.map(({ risk }) => risk)).toEqual(['plain-redis', 'eviction', 'eviction']);
  expect(await refusal(checkStart({ ...check, sockets: true }, { warn() {}, debug() {} }))).toEqual([
    expect.stringMatching(/^NOTIFICATION_WS_PORT: serves ws:.* set NOTIFICATION_TLS_CERT, .*NOTIFICATION_ACCEPT_RISK=plain-ws/),
  ]);
});

test('sockets with a certificate of our own are not plain', async () => {
  const tls = { NOTIFICATION_TLS_CERT: '/etc/tls/tls.crt', NOTIFICATION_TLS_KEY: '/etc/tls/tls.key' };
  const check = { probe: tells('noeviction'), sockets: true };
  expect((await examineStart({ ...check, config: readConfig({ ...safe(), ...tls }) })).refused).toEqual([]);
  expect((await examineStart({ ...check, config: readConfig(safe()) })).refused).toHaveLength(1);
});

test('an issuer whose tokens are bound to nothing is a warning, in production and elsewhere', async () => {
  const keys = { NOTIFICATION_JWKS_URL: 'https://issuer.example/keys' };
  const warnedOf = async (given: Record<string, string>) => {
    const warned: unknown[] = [];
    const log = { debug() {}, warn: (_: string, fields?: object) => void warned.push(fields) };
    await checkStart({ config: readConfig(given), probe: tells('noeviction') }, log);
    return warned;
  };
  const [issuer, audience] = [{ setting: 'NOTIFICATION_JWT_ISSUER' }, { setting: 'NOTIFICATION_JWT_AUDIENCE' }];
  expect(await warnedOf({ ...safe(), ...keys })).toEqual([issuer, audience]);
  expect(await warnedOf({ ...keys, NOTIFICATION_JWT_ISSUER: 'https://issuer.example/' })).toEqual([audience]);
  expect(await warnedOf({ ...keys, NOTIFICATION_JWT_ISSUER: 'a', NOTIFICATION_JWT_AUDIENCE: 'b' })).toEqual([]);
  expect(await warnedOf({})).toEqual([]);
});

test('outside production all of it is mentioned, one line each, and nothing is said of a laptop', async () => {
  const warned: [string, object][] = [];
  const log = { warn() {}, debug: (message: string, fields?: object) => void warned.push([message, fields ?? {}]) };
  const config = readConfig({ REDIS_URL: 'redis://a:6379', NOTIFICATION_JWT_SECRET: 'short' });
  await checkStart({ config, probe: tells('allkeys-lru'), sockets: true }, log);
  expect(warned.map(([, fields]) => fields)).toEqual([
    { risk: 'plain-redis', setting: 'REDIS_URL' },
    { risk: 'eviction', setting: 'REDIS_URL' },
    { risk: 'plain-ws', setting: 'NOTIFICATION_WS_PORT' },
    { risk: 'weak-secret', setting: 'NOTIFICATION_JWT_SECRET' },
  ]);
  warned.length = 0;
  await checkStart({ config: readConfig({}), probe: () => Promise.reject(new Error('must not be asked')), sockets: true }, log);
  expect(warned).toEqual([]);
});

test('a Redis that does not tell its policy is refused; one that is away comes after what else is wrong', async () => {
  expect(await refusal(checkStart({ config: readConfig(safe()), probe: tells(undefined) }, { warn() {}, debug() {} }))).toHaveLength(2);
  const away = () => Promise.reject(new CarillonError('REDIS_UNAVAILABLE'));
  await expect(checkStart({ config: readConfig(safe()), probe: away }, { warn() {}, debug() {} })).rejects.toMatchObject({
    code: 'REDIS_UNAVAILABLE',
  });
  const wrong = readConfig({ ...safe(), NOTIFICATION_JWT_SECRET: 'short' });
  expect((await refusal(checkStart({ config: wrong, probe: away }, { warn() {}, debug() {} }))).map((line) => line.split(':')[0])).toEqual([
    'NOTIFICATION_JWT_SECRET',
    'REDIS_URL',
    'NOTIFICATION_KEYS_REDIS_URL',
  ]);
});

test.each([
  'x'.repeat(31),
  'x'.repeat(40),
  'secret',
  'changeme',
  'supersecret'.repeat(4),
  'abcdefghijklmnopqrstuvwxyz0123456789',
  '0123456789abcdef0123456789abcdef',
  'your-256-bit-secret',
  'a-string-secret-at-least-256-bits-long',
  'please-change-me-before-you-go-to-production',
  'a secret of thirty-two bytes or more',
  'AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow',
])('%p is no secret', (secret) => {
  expect(weak({ jwtSecret: secret })).toEqual([['weak-secret', 'NOTIFICATION_JWT_SECRET']]);
  if (!secret.includes(' '))
    expect(weak({ apiKeys: `a:${strong()},b[send]:${secret}` })).toEqual([['weak-secret', 'NOTIFICATION_API_KEYS', 2]]);
});

test.each<[string, Uint8Array | string]>([
  ['zero bytes', new Uint8Array(32)],
  ['one byte again and again', new Uint8Array(32).fill(7)],
  ['bytes that count up', Uint8Array.from({ length: 32 }, (_, i) => i)],
  ['bytes that count down', Uint8Array.from({ length: 32 }, (_, i) => 255 - i)],
  ['half a key, twice', 'k3yk3yk3yk3yk3yk'.repeat(2)],
  ['a sentence of an example', 'an example key of 32 bytes, yes!'],
  ['the key of NIST SP 800-38A', Buffer.from('603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4', 'hex')],
])('%s make no encryption key', (_, bytes) => {
  expect(weak({ encryptionKeys: `a:${random(32, 'base64')},${key(bytes)}` })).toEqual([['weak-secret', 'NOTIFICATION_ENCRYPTION_KEYS', 2]]);
});

test('an address of Redis that cannot be read stops no look at the rest', async () => {
  const config = { ...readConfig(safe()), redisUrl: 'rediss://user:p%zz@a', keysRedisUrl: 'rediss://:foobared@b', jwtSecret: 'short' };
  expect((await examineStart({ config })).refused.map((line) => line.split(':')[0])).toEqual([
    'NOTIFICATION_JWT_SECRET',
    'NOTIFICATION_KEYS_REDIS_URL',
  ]);
});

test('a password of Redis that everybody tries is weak; a short one of one’s own is Redis’ affair', () => {
  expect(weak({ redisUrl: 'rediss://:foobared@a,rediss://a:x7Tq@b' })).toEqual([['weak-secret', 'REDIS_URL', 1]]);
});

test('no secret that stands in our pages may guard anything', () => {
  const root = join(import.meta.dirname, '../../..');
  const docs = readdirSync(join(root, 'docs'))
    .filter((name) => name.endsWith('.md'))
    .map((name) => join('docs', name));
  const pages = ['README.md', ...docs].map((name) => readFileSync(join(root, name), 'utf8')).join('\n');
  const given = (pattern: RegExp) => [...pages.matchAll(pattern)].map(([, value]) => value as string);
  for (const secret of given(/NOTIFICATION_JWT_SECRET=["']?([^\s"'`$<…]+)/g)) expect(weak({ jwtSecret: secret })).toHaveLength(1);
  for (const secret of given(/NOTIFICATION_API_KEYS=["']?([^\s"'`$<…]+:[^\s"'`$<…]+)/g)) expect(weak({ apiKeys: secret })).toHaveLength(1);
  for (const secret of given(/\b([\w.-]+:[A-Za-z0-9+/]{43}=)/g)) expect(weak({ encryptionKeys: secret })).toHaveLength(1);
});
