import { isIP } from 'node:net';
import { readApiKeys, readSender } from '@carillon/contracts';
import { entities, PII_POLICY_DEFAULT, type PiiPolicy, readPiiPolicy } from '@carillon/redaction';
import { z } from 'zod';
import { isRedisAddress } from './redis-address.js';

/** Milliseconds of each unit a duration may have. */
const UNITS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
/** Longest duration, ms: ten years, longer than any record here has to live and far below what Redis takes as a TTL. */
const LONGEST = 3650 * UNITS.d;
/** Levels from talkative to mute. */
const LOG_LEVELS = ['debug', 'info', 'warn', 'error', 'silent'] as const;
/** How much is logged. */
export type LogLevel = (typeof LOG_LEVELS)[number];

/** A value read from text or taken as it is. The fault names what is allowed and never repeats the value, which may be a secret. */
function value<T>(allowed: string, read: (given: unknown) => T | undefined): z.ZodType<T> {
  return z.unknown().transform((given, context): T => {
    const result = read(typeof given === 'string' ? given.trim() : given);
    if (result !== undefined) return result;
    context.addIssue({ code: 'custom', message: `must be ${allowed}` });
    return z.NEVER;
  });
}

const integer = (min: number, max: number) =>
  value(`a whole number from ${min} to ${max}`, (given) => {
    const number = typeof given === 'string' && /^\d{1,15}$/.test(given) ? Number(given) : given;
    return typeof number === 'number' && Number.isInteger(number) && number >= min && number <= max ? number : undefined;
  });
const port = integer(0, 65_535);

const text = (allowed: string, pattern: RegExp) =>
  value(allowed, (given) => (typeof given === 'string' && pattern.test(given) ? given : undefined));

/** Comma-separated entries of one form. */
const list = (allowed: string, isEntry: (entry: string) => boolean) =>
  value(allowed, (given) => (typeof given === 'string' && given.split(',').every((entry) => isEntry(entry.trim())) ? given : undefined));

const duration = value('a duration such as 90d, 12h, 30m or 45s, at most 3650d', (given) => {
  const [, amount, unit] = (typeof given === 'string' && /^(\d{1,12})(ms|s|m|h|d)$/.exec(given)) || [];
  const ms = amount ? Number(amount) * UNITS[unit as keyof typeof UNITS] : given;
  return typeof ms === 'number' && ms >= 1 && ms <= LONGEST ? ms : undefined;
});

const redisUrls = list('redis:// or rediss:// addresses, comma-separated, user and password percent-encoded', isRedisAddress);
/** What would be refused when the keys are made is refused here, along with all other settings. */
const apiKeys = z.unknown().transform((given, context): string => {
  const spec = typeof given === 'string' ? given.trim() : '';
  const { faults } = readApiKeys(spec);
  for (const message of faults) context.addIssue({ code: 'custom', message });
  return faults.length === 0 ? spec : z.NEVER;
});
const isEncryptionKey = (entry: string) => /^[\w.-]{1,32}:[A-Za-z0-9+/]{43}=?$/.test(entry);

const isHttpUrl = (url: string) => /^https?:\/\//.test(url) && URL.canParse(url);
const httpUrl = text('an http(s) address', /^https?:\/\/[^\s]+$/);

/** Who can alter public keys on their way signs tokens for everybody. */
function readKeysUrl(given: unknown): string | undefined {
  if (typeof given !== 'string' || !URL.canParse(given)) return undefined;
  const { protocol, hostname, username, password } = new URL(given);
  const isLoopback = hostname === 'localhost' || hostname === '[::1]' || /^127(\.\d+){3}$/.test(hostname);
  const isSafe = protocol === 'https:' || (protocol === 'http:' && isLoopback);
  return isSafe && username === '' && password === '' ? given : undefined;
}

/** A rate as calls per ms. */
const rate = value('a rate such as 100/s, 30/m or 1000/h', (given) => {
  const [, count, unit] = (typeof given === 'string' && /^(\d{1,9})\/(s|m|h)$/.exec(given)) || [];
  const perMs = count ? Number(count) / UNITS[unit as keyof typeof UNITS] : given;
  return typeof perMs === 'number' && perMs > 0 && Number.isFinite(perMs) ? perMs : undefined;
});
/** So many things in each window of time. */
export interface Quota {
  readonly count: number;
  /** ms */
  readonly window: number;
}
const quota = value<Quota>('a quota such as 100/s, 30/m or 1000/h', (given) => {
  const [, count, unit] = (typeof given === 'string' && /^(\d{1,9})\/(s|m|h)$/.exec(given)) || [];
  const read = count ? { count: Number(count), window: UNITS[unit as keyof typeof UNITS] } : (given as Partial<Quota> | null);
  const isQuota =
    typeof read === 'object' && read !== null && [read.count, read.window].every((n) => Number.isSafeInteger(n) && Number(n) > 0);
  return isQuota ? (read as Quota) : undefined;
});
const rateOf = (channel: string) =>
  required(`NOTIFICATION_RATE_${channel.toUpperCase()}`, rate, {
    defaultDoc: 'no limit',
    doc: `Most calls to providers of \`${channel}\`, as \`100/s\`, \`30/m\` or \`1000/h\`: one limit across all workers (as an option also calls per ms).`,
  });

const DELIVERY_MODES = ['live', 'sandbox', 'allowlist'] as const;
/** Whether messages really go out. */
export type DeliveryMode = (typeof DELIVERY_MODES)[number];
const deliveryMode = value(`one of ${DELIVERY_MODES.join(', ')}`, (given) => DELIVERY_MODES.find((mode) => mode === given));

const PHI_POLICIES = ['standard', 'strict'] as const;
/** What becomes of a field of a template that has no class: it may go anywhere, or counts as health information. */
export type PhiPolicy = (typeof PHI_POLICIES)[number];

/** Whose `X-Forwarded-For` is believed: nobody's, the next hop's, or that of these addresses and networks. */
export type TrustProxy = boolean | number | readonly string[];
const isNetwork = (text: string) => {
  const [address = '', bits, more] = text.split('/');
  const version = isIP(address);
  const widest = version === 4 ? 32 : 128;
  const isWidth = bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= widest);
  return ['loopback', 'linklocal', 'uniquelocal'].includes(text) || (version > 0 && isWidth && more === undefined);
};
const trustProxy = value<TrustProxy>('true, false, a number of hops, or addresses and networks, comma-separated', (given) => {
  if (given === 'true' || given === true) return true;
  if (given === 'false' || given === false) return false;
  if (typeof given === 'number' || (typeof given === 'string' && /^\d{1,2}$/.test(given))) {
    return Number.isInteger(Number(given)) && Number(given) >= 0 ? Number(given) : undefined;
  }
  const networks = typeof given === 'string' ? given.split(',').map((network) => network.trim()) : given;
  return Array.isArray(networks) && networks.length > 0 && networks.every((one) => typeof one === 'string' && isNetwork(one))
    ? networks
    : undefined;
});

const allowedOrigins = value<readonly string[]>('origins such as https://app.example, comma-separated', (given) => {
  const origins = typeof given === 'string' ? given.split(',').map((origin) => origin.trim()) : given;
  // A browser sends no asterisk: who writes one means something that would not happen.
  const isOrigin = (origin: unknown) =>
    typeof origin === 'string' && !origin.includes('*') && URL.canParse(origin) && new URL(origin).origin === origin;
  return Array.isArray(origins) && origins.length > 0 && origins.every(isOrigin) ? origins : undefined;
});

const RISKS = ['plain-redis', 'plain-ws', 'eviction', 'weak-secret'] as const;
/** What a production start-up refuses unless it is accepted by name. */
export type Risk = (typeof RISKS)[number];

const piiPolicy = value<PiiPolicy>(`mask, block or report, and <entity>:<action> for ${entities.join(', ')}`, readPiiPolicy);

const redisCluster = value<boolean | 'auto'>('true, false or auto', (given) => {
  if (given === 'true' || given === true) return true;
  if (given === 'false' || given === false) return false;
  return given === 'auto' ? 'auto' : undefined;
});
const phiPolicy = value<PhiPolicy>(`one of ${PHI_POLICIES.join(', ')}`, (given) => PHI_POLICIES.find((policy) => policy === given));
const acceptedRisks = value<readonly Risk[]>(`of ${RISKS.join(', ')}, comma-separated`, (given) => {
  const named = typeof given === 'string' ? given.split(',').map((risk) => risk.trim()) : given;
  return Array.isArray(named) && named.every((risk) => RISKS.includes(risk)) ? named : undefined;
});
const auditSink = value('file:<folder>, stdout or redis', (given) =>
  typeof given === 'string' && /^(file:.+|stdout|redis)$/s.test(given) ? given : undefined,
);
const logLevel = value(`one of ${LOG_LEVELS.join(', ')}`, (given) => LOG_LEVELS.find((level) => level === given));

/** One setting: its names, its shape and what it is for. */
export interface Setting<T, D extends T | undefined> {
  /** Name of the environment variable. */
  readonly env: string;
  readonly schema: z.ZodType<T>;
  /** What holds when it is not set; undefined if nothing does. */
  readonly default: D;
  /** What the documentation says about the default, where the value alone does not say it. */
  readonly defaultDoc?: string;
  /** A secret may also come from a file (`<env>_FILE`) and is never shown. */
  readonly secret: boolean;
  /** One sentence. */
  readonly doc: string;
}

interface About {
  readonly doc: string;
  readonly defaultDoc?: string;
  readonly secret?: true;
}

const required = <T>(env: string, schema: z.ZodType<T>, about: About): Setting<T, undefined> => ({
  secret: false,
  ...about,
  env,
  schema,
  default: undefined,
});
const optional = <T>(env: string, schema: z.ZodType<T>, fallback: T, about: About): Setting<T, T> => ({
  secret: false,
  ...about,
  env,
  schema,
  default: fallback,
});

/** Every setting, by the name it has as an option of the library. The one place where settings are declared. */
export const settings = {
  redisUrl: required('REDIS_URL', redisUrls, {
    secret: true,
    defaultDoc: 'an embedded Redis (standalone), else required',
    doc: 'Address of Redis with user and password, `redis://` or `rediss://`; several comma-separated addresses are nodes of one cluster. `rediss://…?ca=<path>` trusts the authorities of that PEM file only. See docs/redis.md.',
  }),
  redisCluster: required('REDIS_CLUSTER', redisCluster, {
    defaultDoc: '`true` with several addresses, else `false`',
    doc: 'Whether Redis is a cluster: `true`, `false`, or `auto` to ask the server.',
  }),
  redisPrefix: optional(
    'REDIS_PREFIX',
    text('1 to 64 printable ASCII characters without braces and spaces', /^[!-z|~]{1,64}$/),
    'notification:',
    {
      doc: 'Stands before every key; braces are not allowed, because they would end up in the hash tags of a cluster.',
    },
  ),
  httpPort: optional('NOTIFICATION_HTTP_PORT', port, 8080, { doc: 'Port of the HTTP interface; 0 takes any free one.' }),
  wsPort: optional('NOTIFICATION_WS_PORT', port, 8082, { doc: 'Port of the WebSocket gateway; 0 takes any free one.' }),
  adminPort: required('NOTIFICATION_ADMIN_PORT', port, {
    defaultDoc: 'with the API its port, other roles off',
    doc: 'Port for `/healthz`, `/readyz` and `/metrics` of any process, without a key: keep it inside your network.',
  }),
  apiKeys: required('NOTIFICATION_API_KEYS', apiKeys, {
    secret: true,
    defaultDoc: 'generated (standalone), else required by the API',
    doc: 'API keys as comma-separated `name:key` or `name[send+read+admin]:key` (no brackets: all scopes); the bearer token is the part after the last colon. A name may stand twice while one key replaces another.',
  }),
  jwtSecret: required('NOTIFICATION_JWT_SECRET', text('some text', /^.+$/s), {
    secret: true,
    defaultDoc: 'generated (standalone), else it or `NOTIFICATION_JWKS_URL` is required by the gateway',
    doc: 'Secret that signs and verifies client tokens (HS256); 32 random bytes or more.',
  }),
  jwksUrl: required('NOTIFICATION_JWKS_URL', value('an https address (http to this machine only), without a user', readKeysUrl), {
    defaultDoc: 'none',
    doc: 'Address of the public keys (JWKS, RFC 7517) of whoever signs client tokens, e.g. `https://clinic.eu.auth0.com/.well-known/jwks.json`; beside or in place of the secret. Set issuer and audience with it: else any token of that issuer is good here. `http://` to this machine only.',
  }),
  jwtIssuer: required('NOTIFICATION_JWT_ISSUER', text('1 to 512 characters', /^.{1,512}$/), {
    defaultDoc: 'not checked',
    doc: 'The `iss` a client token must have.',
  }),
  jwtAudience: required('NOTIFICATION_JWT_AUDIENCE', text('1 to 512 characters', /^.{1,512}$/), {
    defaultDoc: 'not checked',
    doc: 'The `aud` a client token must have.',
  }),
  jwtUserClaim: optional('NOTIFICATION_JWT_USER_CLAIM', text('1 to 128 characters', /^.{1,128}$/), 'sub', {
    doc: 'The claim of a client token that holds the user id.',
  }),
  encryptionKeys: required('NOTIFICATION_ENCRYPTION_KEYS', list('comma-separated kid:base64(32 bytes) entries', isEncryptionKey), {
    secret: true,
    defaultDoc: 'generated (standalone), else required',
    doc: 'Keys that seal what is queued and stored, as comma-separated `kid:base64(32 bytes)`; the first seals, all open.',
  }),
  keysRedisUrl: required('NOTIFICATION_KEYS_REDIS_URL', redisUrls, {
    secret: true,
    defaultDoc: 'files in `.data/` (embedded Redis), else the Redis of the queues',
    doc: 'Address of the Redis that keeps the data keys of people and the log of erasures. One of its own, with short backups: a restored backup of the queues must not bring back the keys to it.',
  }),
  phiPolicy: optional<PhiPolicy>('NOTIFICATION_PHI_POLICY', phiPolicy, 'standard', {
    defaultDoc: '`standard`; in production it must be set',
    doc: '`standard`: fields of a template without a class may go anywhere; `strict`: they count as health information and stay in the inbox.',
  }),
  piiPolicy: optional('NOTIFICATION_PII_POLICY', piiPolicy, PII_POLICY_DEFAULT, {
    defaultDoc: '`mask,email:report,phone:report,ip:report,url:report`',
    doc: 'What happens to personal data that is found in a rendered mail, push or text message where no field was declared for it: `mask`, `block` or `report` (count and audit only), for all or as `<entity>:<action>`, comma-separated.',
  }),
  auditSink: required('NOTIFICATION_AUDIT_SINK', auditSink, {
    defaultDoc: '`file:` in `.data/audit` (embedded Redis), else `redis`',
    doc: 'Where the audit trail is kept: `file:<folder>`, `stdout`, or `redis` for small installations.',
  }),
  acceptRisk: optional<readonly Risk[]>('NOTIFICATION_ACCEPT_RISK', acceptedRisks, [], {
    defaultDoc: 'none',
    doc: `What a production start-up (\`NODE_ENV=production\`) would refuse, comma-separated: ${RISKS.map((risk) => `\`${risk}\``).join(', ')}.`,
  }),
  production: optional(
    'NODE_ENV',
    value('some text', (given) => given === true || given === 'production'),
    false,
    {
      defaultDoc: 'no production',
      doc: '`production` makes every process refuse to start with what is not safe for people’s data; see `NOTIFICATION_ACCEPT_RISK`.',
    },
  ),
  publicUrl: required(
    'NOTIFICATION_PUBLIC_URL',
    value('an http(s) address', (given) => (typeof given === 'string' && isHttpUrl(given) ? given.replace(/\/+$/, '') : undefined)),
    {
      defaultDoc: 'the HTTP address',
      doc: 'Where the HTTP interface is reached from outside: unsubscribe links and callbacks of providers begin with it.',
    },
  ),
  publicSocketUrl: required(
    'NOTIFICATION_PUBLIC_SOCKET_URL',
    value('a ws(s) address', (given) =>
      typeof given === 'string' && /^wss?:\/\//.test(given) && URL.canParse(given) ? given.replace(/\/+$/, '') : undefined,
    ),
    {
      defaultDoc: 'the gateway on this machine',
      doc: 'Where clients reach the gateway from outside, such as `wss://notify.clinic.example/socket`; `POST /v1/tokens` names it.',
    },
  ),
  tlsCert: required('NOTIFICATION_TLS_CERT', text('a path or a PEM text', /^.+$/s), {
    defaultDoc: 'no TLS of our own',
    doc: 'Certificate with its chain (PEM, or the path of such a file) for `https` and `wss` without a proxy; a file is read again when it changes.',
  }),
  tlsKey: required('NOTIFICATION_TLS_KEY', text('a path or a PEM text', /^.+$/s), {
    secret: true,
    defaultDoc: 'required with a certificate',
    doc: 'Private key of the certificate (PEM, or the path of such a file).',
  }),
  allowedOrigins: required('NOTIFICATION_ALLOWED_ORIGINS', allowedOrigins, {
    defaultDoc: 'sockets from any page, HTTP from no other',
    doc: 'Origins of the pages that may open sockets and call `/v1/me/*`, such as `https://app.clinic.example`, comma-separated; programs that send no origin are not concerned.',
  }),
  trustProxy: optional<TrustProxy>('NOTIFICATION_TRUST_PROXY', trustProxy, false, {
    defaultDoc: '`false`',
    doc: 'Whose `X-Forwarded-For` is believed: `true` (everybody’s), a number of hops, or addresses and networks, comma-separated, such as `loopback,10.0.0.0/8`. Limits per address need it behind a proxy.',
  }),
  connectionsPerUser: optional('NOTIFICATION_CONNECTIONS_PER_USER', integer(1, 10_000), 100, {
    doc: 'Most sockets one user may have open, across all gateways; above that a socket closes with 3504.',
  }),
  connectionsPerAddress: optional('NOTIFICATION_CONNECTIONS_PER_IP', integer(1, 1_000_000), 2_000, {
    doc: 'Most sockets of one address (IPv6: one /64) that may be open at one gateway without having authenticated; above that the handshake is answered 429.',
  }),
  rateConnections: optional(
    'NOTIFICATION_RATE_CONNECTIONS',
    quota,
    { count: 6000, window: UNITS.m },
    {
      defaultDoc: '`6000/m`',
      doc: 'Most sockets one address (IPv6: one /64) may open at one gateway, as `6000/m`; above that the handshake is answered 429.',
    },
  ),
  rateHandshakes: optional(
    'NOTIFICATION_RATE_HANDSHAKES',
    quota,
    { count: 1000, window: UNITS.s },
    {
      defaultDoc: '`1000/s`',
      doc: 'Most sockets one gateway opens for all; above that the handshake is answered 503 with Retry-After.',
    },
  ),
  rateMessages: optional(
    'NOTIFICATION_RATE_MESSAGES',
    quota,
    { count: 6000, window: UNITS.m },
    {
      defaultDoc: '`6000/m`',
      doc: 'Most messages one socket may send, as `6000/m`; above that it closes with 3013.',
    },
  ),
  emailFromAddress: required(
    'EMAIL_FROM_ADDRESS',
    value('a mail address, or a name and an address', (given) => (typeof given === 'string' && readSender(given) ? given : undefined)),
    {
      defaultDoc: 'required with a mail provider',
      doc: 'Sender of mail, unless the template names another: an address, or `The Clinic <office@clinic.example>`.',
    },
  ),
  emailProviders: required(
    'NOTIFICATION_EMAIL_PROVIDERS',
    list('sendgrid and smtp, comma-separated, in the order of failover', (name) => ['sendgrid', 'smtp'].includes(name)),
    {
      defaultDoc: 'those that are configured, `sendgrid` first',
      doc: 'Mail providers in the order in which they are tried, such as `sendgrid,smtp`.',
    },
  ),
  sendgridApiKey: required('SENDGRID_API_KEY', text('some text', /^\S+$/), {
    secret: true,
    defaultDoc: 'no SendGrid',
    doc: 'API key of SendGrid with the right to send mail.',
  }),
  sendgridBaseUrl: required('SENDGRID_BASE_URL', httpUrl, {
    defaultDoc: "SendGrid's own",
    doc: 'Address of the SendGrid API, e.g. `https://api.eu.sendgrid.com`.',
  }),
  sendgridWebhookPublicKey: required('SENDGRID_WEBHOOK_PUBLIC_KEY', text('a public key in base64', /^[A-Za-z0-9+/=\s-]+$/), {
    defaultDoc: 'no events taken',
    doc: 'Verification key of the signed event webhook, as SendGrid shows it; it posts to `/v1/providers/sendgrid/events`.',
  }),
  smtpUrl: required('SMTP_URL', text('an smtp:// or smtps:// address', /^smtps?:\/\/\S+$/), {
    secret: true,
    defaultDoc: 'no SMTP',
    doc: 'Mail server with user and password, `smtps://` for TLS from the first byte. `smtp://` to another machine sends nothing without STARTTLS, unless the address ends in `?requireTLS=false`.',
  }),
  firebaseServiceAccount: required('FIREBASE_SERVICE_ACCOUNT', text('JSON or a path', /^.+$/s), {
    secret: true,
    defaultDoc: 'no FCM',
    doc: 'Service account of the Firebase project: its JSON, or the path of the file.',
  }),
  vapidPublicKey: required('VAPID_PUBLIC_KEY', text('65 bytes in base64url', /^[\w-]{87}=?$/), {
    defaultDoc: 'no Web Push',
    doc: 'Public VAPID key (RFC 8292) that browsers subscribe with.',
  }),
  vapidPrivateKey: required('VAPID_PRIVATE_KEY', text('32 bytes in base64url', /^[\w-]{43}=?$/), {
    secret: true,
    defaultDoc: 'no Web Push',
    doc: 'Private VAPID key.',
  }),
  vapidSubject: required('VAPID_SUBJECT', text('a mailto: or https: address', /^(mailto:\S+@\S+|https:\/\/\S+)$/), {
    defaultDoc: 'required with the VAPID keys',
    doc: 'Whom push services may contact about our messages, `mailto:` or `https:`.',
  }),
  twilioAccountSid: required('TWILIO_ACCOUNT_SID', text('an account SID', /^AC[0-9a-fA-F]{32}$/), {
    defaultDoc: 'no Twilio',
    doc: 'Account SID of Twilio.',
  }),
  twilioAuthToken: required('TWILIO_AUTH_TOKEN', text('some text', /^\S+$/), {
    secret: true,
    defaultDoc: 'no Twilio',
    doc: 'Auth token of Twilio; also verifies its callbacks.',
  }),
  twilioFrom: required(
    'TWILIO_FROM',
    text(
      'a phone number in E.164, a short code, a sender id or a messaging service',
      /^(\+[1-9]\d{6,14}|\d{3,8}|[A-Za-z0-9 ]{1,11}|MG[0-9a-fA-F]{32})$/,
    ),
    {
      defaultDoc: 'required with Twilio',
      doc: 'Number, short code, sender id or messaging service that text messages come from.',
    },
  ),
  delivery: optional<DeliveryMode>('NOTIFICATION_DELIVERY', deliveryMode, 'live', {
    doc: '`live`; `sandbox`: everything but the call to a provider, kept for preview; `allowlist`: live for the addresses of `NOTIFICATION_DELIVERY_ALLOW`, sandbox for all others.',
  }),
  deliveryAllow: required(
    'NOTIFICATION_DELIVERY_ALLOW',
    list('addresses and `user:` with user ids, comma-separated, `*` for any part', (entry) => /^\S{1,320}$/.test(entry)),
    {
      defaultDoc: 'none',
      doc: 'Whom `allowlist` sends to, comma-separated, `*` stands for any part: addresses, and `user:` with a user id for whoever is reached by devices: `*@clinic.example,+1555*,user:tester-*`.',
    },
  ),
  rateEmail: rateOf('email'),
  ratePush: rateOf('push'),
  rateSms: rateOf('sms'),
  rateApi: optional('NOTIFICATION_RATE_API', rate, 1, {
    defaultDoc: '`1000/s`',
    doc: 'Most HTTP requests one API key, or one user by client token, may make in each process, as `1000/s` (as an option also requests per ms).',
  }),
  partitions: optional('NOTIFICATION_PARTITIONS', integer(1, 64), 1, {
    doc: 'Partitions per queue, 1 to 64; each can be worked on by a Redis node of its own.',
  }),
  retentionInbox: optional('NOTIFICATION_RETENTION_INBOX', duration, 90 * UNITS.d, {
    defaultDoc: '`90d`',
    doc: 'How long a notification stays in an inbox, as a duration such as `90d` or `12h` (as an option also in ms).',
  }),
  retentionStatus: optional('NOTIFICATION_RETENTION_STATUS', duration, 30 * UNITS.d, {
    defaultDoc: '`30d`',
    doc: 'How long the record of a notification and its deliveries is kept, as a duration (as an option also in ms).',
  }),
  retentionAudit: optional('NOTIFICATION_RETENTION_AUDIT', duration, 6 * 365 * UNITS.d, {
    defaultDoc: '`2190d`',
    doc: 'How long the audit trail is kept where it is Carillon that keeps it (`redis`), as a duration (as an option also in ms).',
  }),
  inboxMax: optional('NOTIFICATION_INBOX_MAX', integer(1, 10_000), 500, { doc: 'Notifications one inbox holds; the oldest leave first.' }),
  logLevel: optional<LogLevel>('LOG_LEVEL', logLevel, 'info', {
    doc: `How much is logged: ${LOG_LEVELS.map((level) => `\`${level}\``).join(', ')}.`,
  }),
} as const;

/** Name of a setting as an option. */
export type SettingName = keyof typeof settings;

type ValueOf<S> = S extends Setting<infer T, infer D> ? T | D : never;

/** Every setting with its value. What has no default and was not given is undefined. Durations are ms. */
export type Config = { readonly [Name in SettingName]: ValueOf<(typeof settings)[Name]> };

/** What the library takes: each setting as the environment writes it (text) or as the value it stands for. */
export type Options = { readonly [Name in SettingName]?: Config[Name] | string | undefined };
