import { createPublicKey, generateKeyPairSync, randomBytes, randomUUID, verify } from 'node:crypto';
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeCertificate } from './certificate.js';
import { type FcmFault, type FcmMessage, faultyField, fcmFault, isTooBig, shownTag } from './fcm-message.js';
import { type Connection, serveFcm } from './fcm-wire.js';
import { type Heard, headOf } from './heard.js';
import type { RedirectTable } from './redirect.js';

/** The host messages go to, and the one access tokens come from. */
const SEND_HOST = 'fcm.googleapis.com';
const TOKEN_HOST = 'oauth2.googleapis.com';
/** Of an access token, s. */
const TOKEN_LIFETIME = 3599;
/** Clocks may differ by this much, s. */
const CLOCK_LEEWAY = 300;

/** A message that was taken. */
export interface FcmSent {
  /** The token or installation it was for. */
  readonly device: string;
  readonly message: FcmMessage;
  /** As answered: `projects/<project>/messages/<id>`. */
  readonly id: string;
  /** ms since the epoch. */
  readonly at: number;
  /** Which connection it came by. */
  readonly session: number;
}

/**
 * How one call goes: an error's answer, no answer at all, its stream reset, or its whole connection cut before (`cut`) or after the message
 * was taken.
 */
export type FcmStep =
  | { readonly status: number; readonly fault?: FcmFault; readonly retryAfter?: number | string; readonly text?: string }
  | 'accept'
  | 'hang'
  | 'reset'
  | 'cut'
  | 'accept, then hang'
  | 'accept, then reset'
  | 'accept, then cut';

/** FCM and the token endpoint, as far as a sender sees them. Made by startFcm; call `close` when done. */
export interface FcmStandIn {
  /** JSON, as Firebase hands it out. */
  readonly serviceAccount: string;
  readonly projectId: string;
  /** For `redirectHosts` and `redirectPreload`. */
  readonly redirects: RedirectTable;
  /** What was taken, in order. */
  readonly sent: readonly FcmSent[];
  /** Messages that arrived, refused ones too. */
  calls(): number;
  /** HTTP/2 sessions opened for messages. */
  sessions(): number;
  /** Access tokens handed out. */
  tokens(): number;
  /** What a device would show, by tag: a repeat with the same tag on every platform replaces. */
  shown(device: string): ReadonlyMap<string, FcmMessage>;
  /** How the next messages go, one step each; after them, all are taken. */
  script(...steps: FcmStep[]): void;
  /** How the next requests for an access token go. */
  scriptTokens(...steps: FcmStep[]): void;
  /** Refuses a device with a fault from now on; `retryAfter` in s. */
  refuse(device: string, fault: FcmFault, retryAfter?: number): void;
  unregister(devices: Iterable<string>): void;
  close(): Promise<void>;
}

type Request = Http2ServerRequest;
type Response = Http2ServerResponse;

/**
 * Starts a stand-in for fcm.googleapis.com and oauth2.googleapis.com. `latency`: ms before each answer to a message; `heard` is told of each
 * message.
 */
export async function startFcm(options: { latency?: number; heard?: Heard } = {}): Promise<FcmStandIn> {
  const certificate = makeCertificate([SEND_HOST, TOKEN_HOST]);
  const account = makeServiceAccount();
  const endpoint = tokenEndpoint(account);
  const devices = devicesOf(account.project_id);
  const path = `/v1/projects/${account.project_id}/messages:send`;
  const steps: FcmStep[] = [];
  const sessions = new Set<number>();
  let calls = 0;

  const handle = async (request: Request, response: Response, connection: Connection) => {
    if (request.url === '/token') return endpoint.handle(request, response);
    calls++;
    if (request.httpVersionMajor === 2) sessions.add(connection.id);
    const body = await bodyOf(request);
    options.heard?.(headOf(request), body);
    const step = steps.shift() ?? 'accept';
    await sleep(options.latency ?? 0);
    if (typeof step === 'object') return scripted(response, step);
    if (!step.startsWith('accept')) return breakOff(request, connection, step);
    if (!endpoint.knows(request.headers.authorization)) return refuseWith(response, fcmFault('THIRD_PARTY_AUTH_ERROR'));
    if (request.method !== 'POST' || request.url !== path) return refuseWith(response, NO_SUCH_PROJECT);
    const { message } = JSON.parse(body) as { message?: FcmMessage };
    const result = devices.take(message, connection.id);
    if (typeof result === 'object') return refuseWith(response, result);
    if (step === 'accept') answer(response, 200, { name: result });
    else breakOff(request, connection, step);
  };
  const { port, close } = await serveFcm(certificate, handle);
  const place = { port, ca: certificate.cert };

  return {
    ...devices,
    serviceAccount: JSON.stringify(account),
    projectId: account.project_id,
    redirects: { [SEND_HOST]: place, [TOKEN_HOST]: place },
    calls: () => calls,
    sessions: () => sessions.size,
    tokens: endpoint.count,
    script: (...next) => void steps.push(...next),
    scriptTokens: endpoint.script,
    close,
  };
}

interface Refusal {
  readonly status: number;
  readonly body: object;
  readonly retryAfter?: number;
}

/** What FCM answers for a project it does not know: nothing about any device. */
const NO_SUCH_PROJECT = { status: 404, body: { error: { code: 404, message: 'Requested entity was not found.', status: 'NOT_FOUND' } } };
/** A message that is too big is told without details. */
const TOO_BIG = { status: 400, body: { error: { code: 400, message: 'The stand-in says no.', status: 'INVALID_ARGUMENT' } } };

/** The devices of a project: what they were sent, what they show, and which are refused. */
function devicesOf(project: string) {
  const sent: FcmSent[] = [];
  const screens = new Map<string, Map<string, FcmMessage>>();
  const refused = new Map<string, Refusal>();
  const refuse = (device: string, fault: FcmFault, retryAfter?: number) => {
    const refusal = fcmFault(fault, fault === 'INVALID_ARGUMENT' ? 'message.data' : undefined);
    refused.set(device, { ...refusal, ...(retryAfter !== undefined && { retryAfter }) });
  };
  return {
    sent,
    refuse,
    unregister(devices: Iterable<string>) {
      for (const device of devices) refuse(device, 'UNREGISTERED');
    },
    shown: (device: string) => screens.get(device) ?? new Map<string, FcmMessage>(),
    /** The id of a message that is fine, or what is wrong with it. */
    take(message: FcmMessage | undefined, session: number): string | Refusal {
      const field = faultyField(message);
      if (!message || field !== undefined) return fcmFault('INVALID_ARGUMENT', field ?? 'message');
      if (isTooBig(message)) return TOO_BIG;
      const device = message.token ?? message.fid ?? message.topic ?? message.condition ?? '';
      const isDevice = message.token !== undefined || message.fid !== undefined;
      if (isDevice && !/^[\w:-]{1,4096}$/.test(device)) return fcmFault('INVALID_TOKEN');
      const refusal = refused.get(device);
      if (refusal) return refusal;
      const id = `projects/${project}/messages/${randomUUID()}`;
      sent.push({ device, message, id, at: Date.now(), session });
      const screen = screens.get(device) ?? new Map<string, FcmMessage>();
      screens.set(device, screen.set(shownTag(message) ?? id, message));
      return id;
    },
  };
}

interface ServiceAccount {
  readonly type: 'service_account';
  readonly project_id: string;
  readonly private_key_id: string;
  readonly private_key: string;
  readonly client_email: string;
  readonly token_uri: string;
}

function makeServiceAccount(): ServiceAccount {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const project = `carillon-${randomBytes(4).toString('hex')}`;
  return {
    type: 'service_account',
    project_id: project,
    private_key_id: randomBytes(20).toString('hex'),
    private_key: privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
    client_email: `sender@${project}.iam.gserviceaccount.com`,
    token_uri: `https://${TOKEN_HOST}/token`,
  };
}

/** Hands out access tokens for assertions signed with the account's key (RFC 7523). */
function tokenEndpoint(account: ServiceAccount) {
  const issued = new Set<string>();
  const steps: FcmStep[] = [];
  return {
    count: () => issued.size,
    knows: (authorization = '') => issued.has(authorization.replace(/^Bearer /, '')),
    script: (...next: FcmStep[]) => void steps.push(...next),
    async handle(request: Request, response: Response): Promise<void> {
      const form = new URLSearchParams(await bodyOf(request));
      const step = steps.shift() ?? 'accept';
      if (typeof step === 'object') return scripted(response, step);
      if (step !== 'accept') return step.endsWith('hang') ? undefined : void request.socket.destroy();
      if (!isSigned(form.get('assertion') ?? '', account)) {
        return answer(response, 400, { error: 'invalid_grant', error_description: 'Invalid JWT Signature.' });
      }
      const token = `ya29.${randomBytes(24).toString('base64url')}`;
      issued.add(token);
      answer(response, 200, { access_token: token, expires_in: TOKEN_LIFETIME, token_type: 'Bearer' });
    },
  };
}

function isSigned(assertion: string, account: ServiceAccount): boolean {
  const [header = '', claims = '', signature = ''] = assertion.split('.');
  const signed = Buffer.from(`${header}.${claims}`);
  if (!verify('sha256', signed, createPublicKey(account.private_key), Buffer.from(signature, 'base64url'))) return false;
  const { iss, aud, exp } = JSON.parse(Buffer.from(claims, 'base64url').toString()) as Record<string, unknown>;
  return iss === account.client_email && aud === account.token_uri && Number(exp) > Date.now() / 1000 - CLOCK_LEEWAY;
}

function breakOff(request: Request, { socket }: Connection, step: string): void {
  if (step.endsWith('hang')) return;
  if (step.endsWith('cut') || request.httpVersionMajor === 1) return void socket.destroy();
  // 2: INTERNAL_ERROR, which tells nothing of what was done with the message.
  request.stream.close(2);
}

function scripted(response: Response, { status, fault, retryAfter, text }: Exclude<FcmStep, string>): void {
  const body = fault ? fcmFault(fault).body : { error: { code: status, message: 'The stand-in says no.', status: 'UNKNOWN' } };
  answer(response, status, text ?? body, retryAfter);
}

function refuseWith(response: Response, { status, body, retryAfter }: Refusal): void {
  answer(response, status, body, retryAfter);
}

function answer(response: Response, status: number, body: object | string, retryAfter?: number | string): void {
  response.writeHead(status, {
    'content-type': typeof body === 'string' ? 'text/html' : 'application/json; charset=UTF-8',
    ...(retryAfter !== undefined && { 'retry-after': String(retryAfter) }),
  });
  response.end(typeof body === 'string' ? body : JSON.stringify(body));
}

async function bodyOf(request: Request): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  return Buffer.concat(parts).toString('utf8');
}
