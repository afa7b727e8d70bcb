import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CarillonError } from '@carillon/contracts';
import { configFromOptions, type Options } from '@carillon/service';
import { expect, test } from '@jest/globals';
import webPush from 'web-push';
import { push } from './push.js';

const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const account = JSON.stringify({
  project_id: 'clinic',
  client_email: 'sender@clinic.iam.gserviceaccount.com',
  private_key: privateKey.export({ type: 'pkcs8', format: 'pem' }),
});
const keys = webPush.generateVAPIDKeys();
const vapid = { vapidPublicKey: keys.publicKey, vapidPrivateKey: keys.privateKey, vapidSubject: 'mailto:ops@clinic.example' };

const providers = (options: Options) => push.providers?.(configFromOptions(options)) ?? [];
const complaint = (options: Options) => {
  try {
    providers(options);
  } catch (error) {
    if (error instanceof CarillonError && error.code === 'CONFIGURATION_INVALID') return error.message;
    throw error;
  }
  throw new Error('nothing was thrown');
};

test('what is configured is provided, and each device is reached by its own', () => {
  expect(providers({})).toEqual([]);
  expect(providers({ firebaseServiceAccount: account, ...vapid }).map(({ name, kinds }) => [name, kinds])).toEqual([
    ['fcm', ['fcm']],
    ['web-push', ['web']],
  ]);
  expect(providers(vapid).map(({ name }) => name)).toEqual(['web-push']);
  expect(Object.keys(push.definition.addresses)).toEqual(['fcm', 'web']);
});

test('the service account may be a file', () => {
  const folder = mkdtempSync(join(tmpdir(), 'carillon-'));
  writeFileSync(join(folder, 'account.json'), account);
  expect(providers({ firebaseServiceAccount: join(folder, 'account.json') })).toHaveLength(1);
  rmSync(folder, { recursive: true });
});

test.each([
  ['no file', '/no/such/file/secret.json'],
  ['cut off', account.slice(0, -5)],
  ['not an object', '{"a":1}]'],
  ['without a project', JSON.stringify({ ...JSON.parse(account), project_id: '' })],
  ['with a key that is none', JSON.stringify({ ...JSON.parse(account), private_key: 'secret' })],
])('a service account that is %s is named and not told', (_, firebaseServiceAccount) => {
  const message = complaint({ firebaseServiceAccount });
  expect(message).toMatch(/^FIREBASE_SERVICE_ACCOUNT: /);
  expect(message).not.toMatch(/secret|clinic|BEGIN/);
});

test.each(Object.keys(vapid))('VAPID without %s is refused', (left) => {
  const { [left as keyof typeof vapid]: _, ...rest } = vapid;
  expect(complaint(rest)).toMatch(/^VAPID_\w+: needed with VAPID_\w+, VAPID_\w+$/);
});

test('VAPID keys that do not belong together are refused', () => {
  expect(complaint({ ...vapid, vapidPrivateKey: webPush.generateVAPIDKeys().privateKey })).toMatch(/^VAPID_PRIVATE_KEY: /);
  expect(providers({ ...vapid, vapidPublicKey: `${keys.publicKey}=` })).toHaveLength(1);
});

test('the rate is the one that was set', () => {
  expect(push.rate?.(configFromOptions({ ratePush: '100/s' }))).toBe(0.1);
  expect(push.rate?.(configFromOptions({}))).toBeUndefined();
});
