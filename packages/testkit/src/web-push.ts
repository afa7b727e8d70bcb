import { createECDH, createPublicKey, type ECDH, randomBytes, verify } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeCertificate } from './certificate.js';
import { type Heard, headOf } from './heard.js';
import type { RedirectTable } from './redirect.js';

/** Host of the endpoints; nobody's. */
const HOST = 'push.example.net';
/** Bytes of an encrypted message a push service must take, and most take no more (RFC 8030, 7.2). */
const MAX_BODY = 4096;
/** How far ahead a VAPID token may expire, s (RFC 8292). */
const MAX_EXPIRY = 24 * 3600;

/** What a browser gives to the site it subscribes to. */
export interface WebPushSubscription {
  readonly endpoint: string;
  readonly keys: { readonly p256dh: string; readonly auth: string };
}

/** A message that was taken. */
export interface WebPushSent {
  readonly endpoint: string;
  /** Decrypted, and read as JSON. */
  readonly payload: Readonly<Record<string, unknown>>;
  /** s. */
  readonly ttl: number;
  readonly topic?: string;
  readonly urgency?: string;
  /** ms since the epoch. */
  readonly at: number;
}

/** How one call goes: an error's answer, no answer at all, or the connection reset before (`reset`) or after the message was taken. */
export type WebPushStep =
  | { readonly status: number; readonly retryAfter?: number | string; readonly location?: string }
  | 'accept'
  | 'hang'
  | 'reset'
  | 'accept, then hang'
  | 'accept, then reset'
  | 'accept, then ramble';

/** A push service and the browsers behind it. Made by startWebPush; call `close` when done. */
export interface WebPushStandIn {
  /** For `redirectHosts` and `redirectPreload`. */
  readonly redirects: RedirectTable;
  /** What was taken, in order. */
  readonly sent: readonly WebPushSent[];
  /** Calls that arrived, refused ones too. */
  calls(): number;
  /** TLS connections made. */
  connections(): number;
  /** A new browser. With the site's public key, only messages signed with its other half are taken. */
  subscribe(vapidPublicKey?: string): WebPushSubscription;
  /** The subscriptions are gone: answered with 410, or another status. */
  unsubscribe(endpoints: Iterable<string>, status?: number): void;
  /** What a browser would show, by tag: a repeat with the same tag replaces. */
  shown(endpoint: string): ReadonlyMap<string, Readonly<Record<string, unknown>>>;
  /** How the next calls go, one step each; after them, all are taken. */
  script(...steps: WebPushStep[]): void;
  close(): Promise<void>;
}

interface Browser {
  readonly key: ECDH;
  readonly auth: Buffer;
  readonly vapid?: string;
  readonly screen: Map<string, Readonly<Record<string, unknown>>>;
  gone?: number;
}

/** Starts a push service that decrypts. `latency`: ms before each answer; `heard` is told of each message to a browser it knows, decrypted. */
export async function startWebPush(options: { latency?: number; heard?: Heard } = {}): Promise<WebPushStandIn> {
  const certificate = makeCertificate([HOST]);
  const browsers = createBrowsers();
  const steps: WebPushStep[] = [];
  let calls = 0;
  let connections = 0;

  const handle = async (request: IncomingMessage, response: ServerResponse) => {
    calls++;
    const body = await bodyOf(request);
    options.heard?.(headOf(request), browsers.read(request, body));
    const step = steps.shift() ?? 'accept';
    await sleep(options.latency ?? 0);
    if (step === 'hang') return;
    if (step === 'reset') return void request.socket.destroy();
    if (typeof step === 'object') return answer(response, step.status, step);
    const refusal = browsers.take(request, body);
    if (refusal !== undefined) return answer(response, refusal);
    if (step === 'accept, then reset') return void request.socket.destroy();
    if (step === 'accept, then ramble') return ramble(response);
    if (step === 'accept') answer(response, 201, { location: `https://${HOST}/message/${calls}` });
  };
  const server = createServer(certificate, (request, response) => void handle(request, response).catch(() => answer(response, 400)));
  server.on('secureConnection', () => connections++);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;

  return {
    ...browsers,
    redirects: { [HOST]: { port, ca: certificate.cert } },
    calls: () => calls,
    connections: () => connections,
    script: (...next) => void steps.push(...next),
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** The browsers behind a push service: what they were sent, and what they show. */
function createBrowsers() {
  const browsers = new Map<string, Browser>();
  const sent: WebPushSent[] = [];
  return {
    sent,
    subscribe(vapid?: string): WebPushSubscription {
      const endpoint = `https://${HOST}/push/${randomBytes(16).toString('base64url')}`;
      const key = createECDH('prime256v1');
      const p256dh = key.generateKeys().toString('base64url');
      const auth = randomBytes(16);
      browsers.set(endpoint, { key, auth, screen: new Map(), ...(vapid !== undefined && { vapid }) });
      return { endpoint, keys: { p256dh, auth: auth.toString('base64url') } };
    },
    unsubscribe(endpoints: Iterable<string>, status = 410) {
      for (const endpoint of endpoints) {
        const browser = browsers.get(endpoint);
        if (browser) browser.gone = status;
      }
    },
    shown: (endpoint: string) => browsers.get(endpoint)?.screen ?? new Map<string, WebPushSent['payload']>(),
    /** What a message says to its browser; nothing if there is no such browser. Throws if it cannot be decrypted. */
    read(request: IncomingMessage, body: Buffer): string {
      const browser = browsers.get(`https://${HOST}${request.url}`);
      return browser ? JSON.stringify(decrypt(body, browser)) : '';
    },
    /** Takes a message, or answers the status it is refused with. Throws if it cannot be decrypted. */
    take(request: IncomingMessage, body: Buffer): number | undefined {
      const endpoint = `https://${HOST}${request.url}`;
      const browser = browsers.get(endpoint);
      const refusal = browser ? refusalOf(request, body, browser) : 404;
      if (refusal !== undefined || !browser) return refusal;
      const { ttl, topic, urgency } = request.headers;
      const payload = decrypt(body, browser);
      const given = { ...(typeof topic === 'string' && { topic }), ...(typeof urgency === 'string' && { urgency }) };
      sent.push({ endpoint, payload, ttl: Number(ttl), ...given, at: Date.now() });
      browser.screen.set(typeof payload.tag === 'string' ? payload.tag : `untagged ${sent.length}`, payload);
      return undefined;
    },
  };
}

/** The status a message is refused with, and undefined if it is fine. */
function refusalOf({ method, headers }: IncomingMessage, body: Buffer, { gone, vapid }: Browser): number | undefined {
  if (gone !== undefined) return gone;
  if (method !== 'POST' || !/^\d{1,10}$/.test(String(headers.ttl))) return 400;
  if (headers['content-encoding'] !== 'aes128gcm') return 415;
  if (headers.topic !== undefined && !/^[\w-]{1,32}$/.test(String(headers.topic))) return 400;
  if (!['very-low', 'low', 'normal', 'high', undefined].includes(headers.urgency as string | undefined)) return 400;
  if (body.length > MAX_BODY) return 413;
  return refusalOfSignature(headers.authorization ?? '', vapid);
}

/** RFC 8292: 401 without a signature that holds, 403 for one of somebody else. */
function refusalOfSignature(authorization: string, expected: string | undefined): number | undefined {
  const [, token = '', key = ''] = /^vapid t=([\w.-]+), ?k=([\w-]+)$/.exec(authorization) ?? [];
  const [header = '', claims = '', signature = ''] = token.split('.');
  const raw = Buffer.from(key, 'base64url');
  if (raw.length !== 65) return 401;
  const [x, y] = [raw.subarray(1, 33), raw.subarray(33)].map((half) => half.toString('base64url')) as [string, string];
  const publicKey = createPublicKey({ key: { kty: 'EC', crv: 'P-256', x, y }, format: 'jwk' });
  const options = { key: publicKey, dsaEncoding: 'ieee-p1363' } as const;
  if (!verify('sha256', Buffer.from(`${header}.${claims}`), options, Buffer.from(signature, 'base64url'))) return 401;
  const { alg } = jsonOf(header);
  const { aud, exp, sub } = jsonOf(claims);
  const ahead = Number(exp) - Date.now() / 1000;
  if (alg !== 'ES256' || aud !== `https://${HOST}` || !(ahead > 0 && ahead <= MAX_EXPIRY)) return 401;
  if (!/^(mailto:|https:)/.test(String(sub))) return 401;
  return expected !== undefined && expected.replace(/=+$/, '') !== key.replace(/=+$/, '') ? 403 : undefined;
}

const jsonOf = (part: string) => JSON.parse(Buffer.from(part, 'base64url').toString()) as Record<string, unknown>;

/** It has no types. */
const ece = createRequire(import.meta.url)('http_ece') as {
  decrypt(body: Buffer, params: { version: 'aes128gcm'; privateKey: ECDH; authSecret: string }): Buffer;
};

function decrypt(body: Buffer, { key, auth }: Browser): Record<string, unknown> {
  const text = ece.decrypt(body, { version: 'aes128gcm', privateKey: key, authSecret: auth.toString('base64url') }).toString('utf8');
  return JSON.parse(text) as Record<string, unknown>;
}

function answer(response: ServerResponse, status: number, about: { retryAfter?: number | string; location?: string } = {}): void {
  response.writeHead(status, {
    'content-length': 0,
    ...(about.retryAfter !== undefined && { 'retry-after': String(about.retryAfter) }),
    ...(about.location !== undefined && { location: about.location }),
  });
  response.end();
}

/** An answer that does not end. */
function ramble(response: ServerResponse): void {
  response.writeHead(201);
  const more = () => {
    if (!response.destroyed) response.write(Buffer.alloc(64 * 1024), more);
  };
  more();
}

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  return Buffer.concat(parts);
}
