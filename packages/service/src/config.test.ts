import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CarillonError } from '@carillon/contracts';
import { PII_POLICY_DEFAULT, readPiiPolicy } from '@carillon/redaction';
import { expect, test } from '@jest/globals';
import { configFromOptions, readConfig, readSettings } from './config.js';
import { renderConfigurationTable } from './configuration-page.js';

const KEY = `k1:${Buffer.alloc(32, 7).toString('base64')}`;

function problemsOf(read: () => unknown): string[] {
  try {
    read();
  } catch (error) {
    expect(error).toBeInstanceOf(CarillonError);
    expect((error as CarillonError).code).toBe('CONFIGURATION_INVALID');
    return (error as CarillonError).message.split('\n');
  }
  throw new Error('nothing was thrown');
}

function fileWith(content: string): string {
  const path = join(mkdtempSync(join(tmpdir(), 'carillon-config-')), 'secret');
  writeFileSync(path, content);
  return path;
}

test('an empty environment gives the defaults of the contract, frozen', () => {
  const config = readConfig({});
  expect(config).toEqual({
    redisPrefix: 'notification:',
    httpPort: 8080,
    wsPort: 8082,
    jwtUserClaim: 'sub',
    phiPolicy: 'standard',
    piiPolicy: PII_POLICY_DEFAULT,
    acceptRisk: [],
    production: false,
    trustProxy: false,
    connectionsPerUser: 100,
    connectionsPerAddress: 2000,
    rateConnections: { count: 6000, window: 60_000 },
    rateHandshakes: { count: 1000, window: 1000 },
    rateMessages: { count: 6000, window: 60_000 },
    delivery: 'live',
    rateApi: 1,
    partitions: 1,
    retentionInbox: 90 * 86_400_000,
    retentionStatus: 30 * 86_400_000,
    retentionAudit: 6 * 365 * 86_400_000,
    inboxMax: 500,
    logLevel: 'info',
  });
  expect(Object.isFrozen(config)).toBe(true);
});

test('every variable is read', () => {
  expect(
    readConfig({
      REDIS_URL: 'rediss://user:pass@a:6379,rediss://user:pass@b:6379',
      REDIS_CLUSTER: 'auto',
      REDIS_PREFIX: 'app:',
      NOTIFICATION_HTTP_PORT: '0',
      NOTIFICATION_WS_PORT: '9001',
      NOTIFICATION_ADMIN_PORT: '9002',
      NOTIFICATION_API_KEYS: 'backend:abc, ops[send+read+admin]:def',
      NOTIFICATION_JWT_SECRET: 'a secret with spaces',
      NOTIFICATION_JWKS_URL: 'https://issuer.example/.well-known/jwks.json',
      NOTIFICATION_JWT_ISSUER: 'https://issuer.example/',
      NOTIFICATION_JWT_AUDIENCE: 'carillon',
      NOTIFICATION_JWT_USER_CLAIM: 'https://clinic.example/user',
      NOTIFICATION_ENCRYPTION_KEYS: KEY,
      NOTIFICATION_KEYS_REDIS_URL: 'rediss://keys:6379?ca=/etc/ca.pem',
      NOTIFICATION_PHI_POLICY: 'strict',
      NOTIFICATION_PII_POLICY: 'block',
      NOTIFICATION_AUDIT_SINK: 'file:/var/audit',
      NOTIFICATION_ACCEPT_RISK: 'plain-ws, eviction',
      NODE_ENV: 'production',
      NOTIFICATION_PUBLIC_URL: 'https://notify.clinic.example/',
      NOTIFICATION_PUBLIC_SOCKET_URL: 'wss://notify.clinic.example/socket/',
      NOTIFICATION_TLS_CERT: '/etc/tls/tls.crt',
      NOTIFICATION_TLS_KEY: '/etc/tls/tls.key',
      NOTIFICATION_ALLOWED_ORIGINS: 'https://app.clinic.example, http://localhost:5173',
      NOTIFICATION_TRUST_PROXY: 'loopback, 10.0.0.0/8, 2001:db8::/32',
      NOTIFICATION_CONNECTIONS_PER_USER: '10',
      NOTIFICATION_CONNECTIONS_PER_IP: '5000',
      NOTIFICATION_RATE_CONNECTIONS: '600/m',
      NOTIFICATION_RATE_HANDSHAKES: '50/s',
      NOTIFICATION_RATE_MESSAGES: '1000/h',
      EMAIL_FROM_ADDRESS: 'clinic@clinic.example',
      NOTIFICATION_EMAIL_PROVIDERS: 'smtp, sendgrid',
      SENDGRID_API_KEY: 'SG.x',
      SENDGRID_BASE_URL: 'https://api.eu.sendgrid.com',
      SENDGRID_WEBHOOK_PUBLIC_KEY: 'MFkwEwYHKoZIzj0=',
      SMTP_URL: 'smtps://user:pass@mail:465',
      FIREBASE_SERVICE_ACCOUNT: '{"project_id":"p"}',
      VAPID_PUBLIC_KEY: 'B'.repeat(87),
      VAPID_PRIVATE_KEY: 'c'.repeat(43),
      VAPID_SUBJECT: 'mailto:ops@clinic.example',
      TWILIO_ACCOUNT_SID: `AC${'0'.repeat(32)}`,
      TWILIO_AUTH_TOKEN: 't',
      TWILIO_FROM: '+15550100',
      NOTIFICATION_DELIVERY: 'allowlist',
      NOTIFICATION_DELIVERY_ALLOW: '*@clinic.example,+1555*',
      NOTIFICATION_RATE_EMAIL: '100/s',
      NOTIFICATION_RATE_PUSH: '60/m',
      NOTIFICATION_RATE_SMS: '3600/h',
      NOTIFICATION_RATE_API: '100/s',
      NOTIFICATION_PARTITIONS: '64',
      NOTIFICATION_RETENTION_INBOX: '12h',
      NOTIFICATION_RETENTION_STATUS: '1d',
      NOTIFICATION_RETENTION_AUDIT: '3650d',
      NOTIFICATION_INBOX_MAX: '20',
      LOG_LEVEL: 'silent',
    }),
  ).toEqual({
    redisUrl: 'rediss://user:pass@a:6379,rediss://user:pass@b:6379',
    redisCluster: 'auto',
    redisPrefix: 'app:',
    httpPort: 0,
    wsPort: 9001,
    adminPort: 9002,
    apiKeys: 'backend:abc, ops[send+read+admin]:def',
    jwtSecret: 'a secret with spaces',
    jwksUrl: 'https://issuer.example/.well-known/jwks.json',
    jwtIssuer: 'https://issuer.example/',
    jwtAudience: 'carillon',
    jwtUserClaim: 'https://clinic.example/user',
    encryptionKeys: KEY,
    keysRedisUrl: 'rediss://keys:6379?ca=/etc/ca.pem',
    phiPolicy: 'strict',
    piiPolicy: readPiiPolicy('block'),
    auditSink: 'file:/var/audit',
    acceptRisk: ['plain-ws', 'eviction'],
    production: true,
    publicUrl: 'https://notify.clinic.example',
    publicSocketUrl: 'wss://notify.clinic.example/socket',
    tlsCert: '/etc/tls/tls.crt',
    tlsKey: '/etc/tls/tls.key',
    allowedOrigins: ['https://app.clinic.example', 'http://localhost:5173'],
    trustProxy: ['loopback', '10.0.0.0/8', '2001:db8::/32'],
    connectionsPerUser: 10,
    connectionsPerAddress: 5000,
    rateConnections: { count: 600, window: 60_000 },
    rateHandshakes: { count: 50, window: 1000 },
    rateMessages: { count: 1000, window: 3_600_000 },
    emailFromAddress: 'clinic@clinic.example',
    emailProviders: 'smtp, sendgrid',
    sendgridApiKey: 'SG.x',
    sendgridBaseUrl: 'https://api.eu.sendgrid.com',
    sendgridWebhookPublicKey: 'MFkwEwYHKoZIzj0=',
    smtpUrl: 'smtps://user:pass@mail:465',
    firebaseServiceAccount: '{"project_id":"p"}',
    vapidPublicKey: 'B'.repeat(87),
    vapidPrivateKey: 'c'.repeat(43),
    vapidSubject: 'mailto:ops@clinic.example',
    twilioAccountSid: `AC${'0'.repeat(32)}`,
    twilioAuthToken: 't',
    twilioFrom: '+15550100',
    delivery: 'allowlist',
    deliveryAllow: '*@clinic.example,+1555*',
    rateEmail: 0.1,
    ratePush: 0.001,
    rateSms: 0.001,
    rateApi: 0.1,
    partitions: 64,
    retentionInbox: 12 * 3_600_000,
    retentionStatus: 86_400_000,
    retentionAudit: 3650 * 86_400_000,
    inboxMax: 20,
    logLevel: 'silent',
  });
});

test('all problems are reported together, by variable, without any value', () => {
  const problems = problemsOf(() =>
    readConfig(
      {
        REDIS_URL: 'http://user:hunter2@redis',
        REDIS_CLUSTER: 'maybe',
        REDIS_PREFIX: 'a{b}',
        NOTIFICATION_HTTP_PORT: '65536',
        NOTIFICATION_WS_PORT: '80.5',
        NOTIFICATION_API_KEYS: 'hunter2',
        NOTIFICATION_ENCRYPTION_KEYS: 'k:hunter2',
        NOTIFICATION_PARTITIONS: '0',
        NOTIFICATION_RETENTION_INBOX: '90',
        NOTIFICATION_INBOX_MAX: '-1',
        LOG_LEVEL: 'loud',
      },
      ['redisUrl', 'jwtSecret'],
    ),
  );
  expect(problems.map((problem) => problem.split(':')[0])).toEqual([
    'REDIS_URL',
    'REDIS_CLUSTER',
    'REDIS_PREFIX',
    'NOTIFICATION_HTTP_PORT',
    'NOTIFICATION_WS_PORT',
    'NOTIFICATION_API_KEYS',
    'NOTIFICATION_JWT_SECRET',
    'NOTIFICATION_ENCRYPTION_KEYS',
    'NOTIFICATION_PARTITIONS',
    'NOTIFICATION_RETENTION_INBOX',
    'NOTIFICATION_INBOX_MAX',
    'LOG_LEVEL',
  ]);
  expect(problems).toContain('NOTIFICATION_JWT_SECRET: is required');
  expect(problems).toContain('NOTIFICATION_HTTP_PORT: must be a whole number from 0 to 65535');
  expect(problems.join('\n')).not.toMatch(/hunter2|loud|maybe/);
});

test.each(['REDIS_URL', 'NOTIFICATION_KEYS_REDIS_URL'])('an address in %s whose user or password cannot be read is refused', (name) => {
  const fault = `${name}: must be redis:// or rediss:// addresses, comma-separated, user and password percent-encoded`;
  for (const credentials of ['user:hunter2%', 'user:hunter%zz2', 'us%er:hunter2', 'user:hunter2%ff'])
    expect(problemsOf(() => readConfig({ [name]: `rediss://a:b@one,rediss://${credentials}@two` }))).toEqual([fault]);
  expect(readConfig({ [name]: 'rediss://us%40er:p%25%2Cw@one' })).toBeDefined();
});

test('API keys that could not be used are told by their places, all of them, along with the rest', () => {
  const problems = problemsOf(() =>
    readConfig({
      NOTIFICATION_HTTP_PORT: 'x',
      NOTIFICATION_API_KEYS: 'a:hunter2,a:k2,a:k3,b[all]:k4,c:hunter2,d e:k5,f:k 6,g[read]:k7',
    }),
  );
  expect(problems.map((problem) => problem.replace(/(entry \d) .*/, '$1'))).toEqual([
    'NOTIFICATION_HTTP_PORT: must be a whole number from 0 to 65535',
    ...[3, 4, 5, 6, 7].map((place) => `NOTIFICATION_API_KEYS: entry ${place}`),
  ]);
  expect(problems.join()).not.toMatch(/hunter2|k\d/);
});

test.each<[string, string[], string[]]>([
  [
    'NOTIFICATION_JWKS_URL',
    ['https://a.example/keys', 'http://localhost:9000/keys', 'http://127.0.0.1/keys', 'http://[::1]:1/keys'],
    ['http://a.example/keys', 'http://127.0.0.1.example/keys', 'https://user:hunter2@a.example/keys', 'file:///etc/keys', 'a.example'],
  ],
  ['NOTIFICATION_PUBLIC_SOCKET_URL', ['wss://a.example', 'ws://a:1/x'], ['https://a.example', 'wss://', 'a.example']],
  [
    'NOTIFICATION_ALLOWED_ORIGINS',
    ['https://a.example', 'http://a:1,https://b'],
    ['*', 'null', 'https://a.example/', 'https://*.a.example', 'a', 'https://a,,'],
  ],
  [
    'NOTIFICATION_TRUST_PROXY',
    ['true', 'false', '0', '2', '10.0.0.1', '10.0.0.0/8,::1', 'loopback,uniquelocal'],
    ['yes', '-1', '1.5', '10.0.0.0/33', '10.0.0.0/', '10.0.0.0/8/8', 'proxy.example', '::1/129', 'loopback,'],
  ],
  ['NOTIFICATION_CONNECTIONS_PER_USER', ['1', '10000'], ['0', '10001', '-1', 'many']],
  ['NOTIFICATION_CONNECTIONS_PER_IP', ['1', '1000000'], ['0', '1000001', '1.5']],
  ['NOTIFICATION_RATE_CONNECTIONS', ['1/s', '10/h'], ['0/s', '1/d', '5', '-1/s']],
  ['NOTIFICATION_RATE_HANDSHAKES', ['1000/s'], ['/s', '0/m']],
  ['NOTIFICATION_RATE_MESSAGES', ['1/m'], ['1.5/m', '00/m']],
])('%s takes what it can be, and names itself for all else', (name, good, bad) => {
  for (const text of good) expect(readConfig({ [name]: text })).toBeDefined();
  for (const text of bad) {
    const problems = problemsOf(() => readConfig({ [name]: text }));
    expect([text, problems.map((problem) => problem.split(':')[0])]).toEqual([text, [name]]);
    expect(problems.join()).not.toContain('hunter2');
  }
});

test('origins, proxies and quotas may be given as the values they stand for', () => {
  const given = { allowedOrigins: ['https://a.example'], trustProxy: 1, rateMessages: { count: 5, window: 100 }, rateHandshakes: '7/s' };
  expect(configFromOptions(given)).toMatchObject({ ...given, rateHandshakes: { count: 7, window: 1000 } });
  expect(configFromOptions({ trustProxy: ['10.0.0.1'] }).trustProxy).toEqual(['10.0.0.1']);
  const wrong = { trustProxy: -1, rateMessages: { count: 0, window: 1 }, rateHandshakes: null, allowedOrigins: [7] } as object;
  expect(problemsOf(() => configFromOptions(wrong)).map((problem) => problem.split(':')[0])).toEqual([
    'allowedOrigins',
    'trustProxy',
    'rateMessages',
  ]);
});

test('of a secret and an address of keys one is enough; without either both are named', () => {
  const read = (source: Record<string, string>) => readSettings(source, [], ['jwtSecret', 'jwksUrl']).problems;
  expect(read({})).toEqual(['NOTIFICATION_JWT_SECRET or NOTIFICATION_JWKS_URL: is required']);
  expect(read({ NOTIFICATION_JWT_SECRET: 's' })).toEqual([]);
  expect(read({ NOTIFICATION_JWKS_URL: 'https://a.example/keys' })).toEqual([]);
  expect(read({ NOTIFICATION_JWKS_URL: 'nowhere' })).toHaveLength(1);
  expect(readSettings({}, []).problems).toEqual([]);
});

test('an empty variable counts as not set', () => {
  expect(readConfig({ REDIS_URL: '', NOTIFICATION_HTTP_PORT: '', NOTIFICATION_JWT_SECRET_FILE: '' }).httpPort).toBe(8080);
});

test('a secret may be the trimmed content of a file', () => {
  expect(readConfig({ NOTIFICATION_JWT_SECRET_FILE: fileWith('from a file\n') }, ['jwtSecret']).jwtSecret).toBe('from a file');
});

test('what is wrong with a file is told once, also when the setting is required', () => {
  const source = { NOTIFICATION_JWT_SECRET: 'hunter2', NOTIFICATION_JWT_SECRET_FILE: fileWith('hunter2') };
  expect(problemsOf(() => readConfig(source, ['jwtSecret']))).toEqual([
    'NOTIFICATION_JWT_SECRET: is set together with NOTIFICATION_JWT_SECRET_FILE; set one of them',
  ]);
  expect(problemsOf(() => readConfig({ REDIS_URL_FILE: '/nowhere/at/all' }, ['redisUrl']))).toEqual([
    'REDIS_URL: the file named by REDIS_URL_FILE cannot be read (ENOENT)',
  ]);
  expect(problemsOf(() => readConfig({ REDIS_URL_FILE: fileWith(' \n') }))).toEqual([
    'REDIS_URL: the file named by REDIS_URL_FILE is empty',
  ]);
});

test('a setting that is no secret has no file', () => {
  expect(readConfig({ NOTIFICATION_HTTP_PORT_FILE: '/nowhere' }).httpPort).toBe(8080);
});

test('options take values and text, and name themselves in problems', () => {
  const config = configFromOptions({
    httpPort: 0,
    wsPort: '9001',
    redisCluster: true,
    retentionInbox: 5000,
    retentionStatus: '2m',
    logLevel: 'warn',
  });
  expect(config).toMatchObject({
    httpPort: 0,
    wsPort: 9001,
    redisCluster: true,
    retentionInbox: 5000,
    retentionStatus: 120_000,
    logLevel: 'warn',
  });
  const wrong = { httpPort: 'x', hostPort: 1 } as { httpPort: string };
  expect(problemsOf(() => configFromOptions(wrong, ['redisUrl']))).toEqual([
    'hostPort: is not a known option',
    'redisUrl: is required',
    'httpPort: must be a whole number from 0 to 65535',
  ]);
});

test('an option goes before the environment it falls back on', () => {
  const source = { NOTIFICATION_HTTP_PORT: '1', NOTIFICATION_WS_PORT: '2' };
  expect(configFromOptions({ httpPort: 3, wsPort: undefined }, [], source)).toMatchObject({ httpPort: 3, wsPort: 2 });
});

// To write the page: node --input-type=module -e "process.stdout.write((await import('@carillon/service')).renderConfigurationTable())"
test('docs/configuration.md is what the settings table says', () => {
  const page = readFileSync(join(import.meta.dirname, '../../../docs/configuration.md'), 'utf8');
  expect(page).toBe(renderConfigurationTable());
});
