import { CarillonError } from '@carillon/contracts';

/** Characters an FCM token or `fid` may have; today's have about 160 and 22. */
const TOKEN_MAX_LENGTH = 4096;
const PLATFORMS: readonly string[] = ['ios', 'android', 'web'];
/** Characters an endpoint may have; the longest ones browsers give have a few hundred. */
const ENDPOINT_MAX_LENGTH = 2048;
/** A point of P-256, uncompressed (RFC 8291, section 3.1). */
const P256DH_BYTES = 65;
/** The secret a browser shares with us (RFC 8291, section 3.2). */
const AUTH_BYTES = 16;
/** Last labels of names that only mean something inside a network (RFC 6761, 6762, 8375; `.internal` is ICANN's for this). */
const INSIDE = new Set(['localhost', 'local', 'internal', 'arpa', 'lan', 'home', 'corp', 'intranet']);

/** A registration, read. */
export interface Registered {
  readonly kind: 'fcm' | 'web';
  readonly platform: string | null;
  /** As in an address. */
  readonly value: string;
}

/** Reads a registration from outside. @throws FIELD_INVALID */
export function readRegistration(input: unknown, allowEndpoint: (url: URL) => boolean): Registered {
  const isWeb = typeof input === 'object' && input !== null && 'web' in input;
  return isWeb ? readWeb(input, allowEndpoint) : readFcm(input);
}

function readFcm(input: unknown): Registered {
  const { fcm, platform } = fields(input, '', ['fcm', 'platform']);
  const named = fields(fcm, 'fcm', ['token', 'fid']);
  const [name, ...more] = Object.keys(named) as (keyof typeof named)[];
  if (name === undefined || more.length > 0) throw invalid('fcm', 'must have either token or fid');
  const value = text(named[name], `fcm.${name}`, TOKEN_MAX_LENGTH, /^[!-~]+$/);
  if (platform !== undefined && !PLATFORMS.includes(platform as string))
    throw invalid('platform', `must be one of ${PLATFORMS.join(', ')}`);
  return { kind: 'fcm', platform: (platform as string | undefined) ?? null, value: JSON.stringify({ [name]: value }) };
}

function readWeb(input: object, allowEndpoint: (url: URL) => boolean): Registered {
  // Browsers put `expirationTime` into the JSON of a subscription; that it is over their push service tells.
  const { endpoint, keys } = fields(fields(input, '', ['web']).web, 'web', ['endpoint', 'keys', 'expirationTime']);
  const url = text(endpoint, 'web.endpoint', ENDPOINT_MAX_LENGTH, /^[!-~]+$/);
  if (!URL.canParse(url) || !allowEndpoint(new URL(url))) {
    throw invalid('web.endpoint', 'must be the https address of a push service, by a public name');
  }
  const { p256dh, auth } = fields(keys, 'web.keys', ['p256dh', 'auth']);
  const read = { p256dh: base64url(p256dh, 'web.keys.p256dh', P256DH_BYTES), auth: base64url(auth, 'web.keys.auth', AUTH_BYTES) };
  return { kind: 'web', platform: 'web', value: JSON.stringify({ endpoint: new URL(url).href, keys: read }) };
}

/** The fields of an object that has no others. */
function fields<N extends string>(value: unknown, field: string, names: readonly N[]): Readonly<Partial<Record<N, unknown>>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw invalid(field, 'must be an object');
  const unknown = Object.keys(value).find((name) => !(names as readonly string[]).includes(name));
  if (unknown !== undefined) throw invalid(field ? `${field}.${unknown}` : unknown, 'is not a known field');
  return value as Partial<Record<N, unknown>>;
}

function text(value: unknown, field: string, maxLength: number, pattern: RegExp): string {
  if (typeof value !== 'string' || value.length > maxLength || !pattern.test(value)) {
    throw invalid(field, `must be text of 1 to ${maxLength} printable ASCII characters without blanks`);
  }
  return value;
}

/** Base64url of so many bytes, with or without padding; answers it without. */
function base64url(value: unknown, field: string, size: number): string {
  const bytes = typeof value === 'string' && /^[\w-]{1,128}={0,2}$/.test(value) ? Buffer.from(value, 'base64url') : undefined;
  if (bytes?.length !== size) throw invalid(field, `must be ${size} bytes as base64url`);
  return bytes.toString('base64url');
}

function invalid(field: string, must: string): CarillonError {
  return field
    ? new CarillonError('FIELD_INVALID', { field, message: `${field}: ${must}` })
    : new CarillonError('FIELD_INVALID', { message: must });
}

/** What stays the same of a device's value as long as it is the same device: of a subscription the endpoint, its keys may change. */
export function tokenOf({ kind, value }: Pick<Registered, 'kind' | 'value'>): string {
  return kind === 'web' ? (JSON.parse(value) as { endpoint: string }).endpoint : value;
}

/**
 * Whether an endpoint may be the address of a push service. Who registers it chooses where we connect to, so: https, no credentials, and a public
 * name. What the name stands for can only be checked when connecting.
 */
export function isPublicEndpoint({ protocol, username, password, hostname }: URL): boolean {
  if (protocol !== 'https:' || username !== '' || password !== '') return false;
  const labels = hostname.replace(/\.$/, '').split('.');
  const last = labels.at(-1) as string;
  // The parser has turned every way to write an IPv4 address into four numbers, and no public name ends in digits. IPv6 has brackets.
  return labels.length > 1 && !/^\d+$|\]$/.test(last) && !INSIDE.has(last);
}
