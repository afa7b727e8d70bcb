/** Bytes a message may have without its target (https://firebase.google.com/docs/cloud-messaging/error-codes). */
const MAX_PAYLOAD = 4096;
/** Bytes of an `apns-collapse-id`. */
const MAX_COLLAPSE_ID = 64;
/** A Web Push `Topic` (RFC 8030). */
const TOPIC = /^[\w-]{1,32}$/;
const TARGETS = ['token', 'fid', 'topic', 'condition'] as const;
const FIELDS = new Set<string>([...TARGETS, 'name', 'data', 'notification', 'android', 'apns', 'webpush', 'fcm_options']);

type Texts = Readonly<Record<string, string>>;

/** A message as it arrives at FCM: https://firebase.google.com/docs/reference/fcm/rest/v1/projects.messages */
export interface FcmMessage {
  readonly token?: string;
  readonly fid?: string;
  readonly topic?: string;
  readonly condition?: string;
  readonly notification?: Texts;
  readonly data?: Texts;
  readonly android?: { readonly collapse_key?: string; readonly priority?: string; readonly ttl?: string; readonly notification?: Texts };
  readonly apns?: { readonly headers?: Texts; readonly payload?: Readonly<Record<string, unknown>> };
  readonly webpush?: { readonly headers?: Texts; readonly notification?: Texts; readonly fcm_options?: Texts };
}

/** What FCM has against a message: `INVALID_TOKEN` is `INVALID_ARGUMENT` about the token. */
export type FcmFault =
  | 'UNREGISTERED'
  | 'INVALID_TOKEN'
  | 'INVALID_ARGUMENT'
  | 'QUOTA_EXCEEDED'
  | 'UNAVAILABLE'
  | 'INTERNAL'
  | 'SENDER_ID_MISMATCH'
  | 'THIRD_PARTY_AUTH_ERROR';

const STATUS: Readonly<Record<FcmFault, readonly [number, string]>> = {
  UNREGISTERED: [404, 'NOT_FOUND'],
  INVALID_TOKEN: [400, 'INVALID_ARGUMENT'],
  INVALID_ARGUMENT: [400, 'INVALID_ARGUMENT'],
  QUOTA_EXCEEDED: [429, 'RESOURCE_EXHAUSTED'],
  UNAVAILABLE: [503, 'UNAVAILABLE'],
  INTERNAL: [500, 'INTERNAL'],
  SENDER_ID_MISMATCH: [403, 'PERMISSION_DENIED'],
  THIRD_PARTY_AUTH_ERROR: [401, 'UNAUTHENTICATED'],
};

/** FCM's answer: a `google.rpc.Status` as JSON. `field` is the one at fault, if the fault is one of a field. */
export function fcmFault(fault: FcmFault, field?: string): { status: number; body: object } {
  const [code, status] = STATUS[fault];
  const errorCode = fault === 'INVALID_TOKEN' ? 'INVALID_ARGUMENT' : fault;
  const details: object[] = [{ '@type': 'type.googleapis.com/google.firebase.fcm.v1.FcmError', errorCode }];
  if (field !== undefined) {
    const fieldViolations = [{ field, description: 'Invalid value' }];
    details.unshift({ '@type': 'type.googleapis.com/google.rpc.BadRequest', fieldViolations });
  }
  return { status: code, body: { error: { code, message: 'The stand-in says no.', status, details } } };
}

/** The field a message is refused for, and undefined if it is fine. */
export function faultyField(message: FcmMessage | undefined): string | undefined {
  if (typeof message !== 'object' || message === null) return 'message';
  const unknown = Object.keys(message).find((name) => !FIELDS.has(name));
  if (unknown) return `message.${unknown}`;
  if (TARGETS.filter((target) => message[target]).length !== 1) return 'message';
  if (Object.entries(message.data ?? {}).some(([key, value]) => typeof value !== 'string' || isReserved(key))) return 'message.data';
  return faultyPlatform(message);
}

function faultyPlatform({ android = {}, apns = {}, webpush = {} }: FcmMessage): string | undefined {
  if (android.priority !== undefined && !['normal', 'high'].includes(android.priority)) return 'message.android.priority';
  if (android.ttl !== undefined && !/^\d+(\.\d+)?s$/.test(android.ttl)) return 'message.android.ttl';
  const headers = apns.headers ?? {};
  if (Buffer.byteLength(headers['apns-collapse-id'] ?? '') > MAX_COLLAPSE_ID) return 'message.apns.headers';
  if (!['1', '5', '10', undefined].includes(headers['apns-priority'])) return 'message.apns.headers';
  const { Topic = 'none', Urgency = 'normal' } = webpush.headers ?? {};
  if (!TOPIC.test(Topic) || !['very-low', 'low', 'normal', 'high'].includes(Urgency)) return 'message.webpush.headers';
  const link = webpush.fcm_options?.link;
  return link !== undefined && !link.startsWith('https://') ? 'message.webpush.fcm_options.link' : undefined;
}

const isReserved = (key: string) => key === 'from' || key.startsWith('gcm') || key.startsWith('google');

/** Whether the message is larger than FCM takes, the target apart. */
export function isTooBig(message: FcmMessage): boolean {
  const { token: _token, fid: _fid, topic: _topic, condition: _condition, ...payload } = message;
  return Buffer.byteLength(JSON.stringify(payload)) > MAX_PAYLOAD;
}

/** What makes a repeat replace what is shown, on whichever platform the device is; undefined if some platform would show it twice. */
export function shownTag({ android, apns, webpush }: FcmMessage): string | undefined {
  const tag = android?.notification?.tag;
  const everywhere = tag !== undefined && apns?.headers?.['apns-collapse-id'] === tag && webpush?.notification?.tag === tag;
  return everywhere ? tag : undefined;
}
