import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeCertificate } from './certificate.js';
import { type Heard, headOf } from './heard.js';
import type { RedirectTable } from './redirect.js';

/** The host that Twilio's SDK calls. */
const HOST = 'api.twilio.com';
/** Longest text Twilio takes, characters (https://www.twilio.com/docs/api/errors/21617). */
const MAX_BODY = 1600;

/** A message that was taken. */
export interface TwilioMessage {
  readonly sid: string;
  readonly to: string;
  readonly from?: string;
  readonly messagingServiceSid?: string;
  readonly body: string;
  readonly statusCallback?: string;
}

/**
 * How one call goes: an error's answer, no answer at all, the connection reset before (`reset`) or after the message was taken, or an answer
 * that is not JSON after it was taken.
 */
export type TwilioStep =
  | { readonly status: number; readonly code?: number; readonly retryAfter?: number | string; readonly text?: string }
  | 'accept'
  | 'hang'
  | 'reset'
  | 'accept, then hang'
  | 'accept, then reset'
  | 'accept, then mumble';

/** What Twilio would post, ready for `fetch(url, …)`. */
export interface TwilioCallback {
  readonly method: 'POST';
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** Twilio's messages, as far as a sender sees them. Made by startTwilio; call `close` when done. */
export interface TwilioStandIn {
  readonly accountSid: string;
  readonly authToken: string;
  /** For `redirectHosts` and `redirectPreload`. */
  readonly redirects: RedirectTable;
  /** What was taken, in order. */
  readonly accepted: readonly TwilioMessage[];
  /** Calls that arrived, refused ones too. */
  calls(): number;
  /** How the next calls go, one step each; after them, all are taken. */
  script(...steps: TwilioStep[]): void;
  /** Refuses a number with a code from now on, e.g. 21211 (invalid), 21610 (unsubscribed), 21614 (not mobile). */
  refuse(to: string, code: number): void;
  /** A callback signed with the account's token, or with another one: a forgery. */
  callback(url: string, params: Readonly<Record<string, string>>, token?: string): TwilioCallback;
  /** What Twilio posts to the message's `statusCallback`: its status, and the code of a failure. */
  report(message: TwilioMessage, status: string, errorCode?: number): TwilioCallback;
  /** What Twilio posts to `url` when somebody texts. */
  reply(url: string, from: string, body: string, optOutType?: 'STOP' | 'START' | 'HELP'): TwilioCallback;
  close(): Promise<void>;
}

/** Starts a stand-in for api.twilio.com. `latency`: ms before each answer; `heard` is told of each call. */
export async function startTwilio(options: { latency?: number; heard?: Heard } = {}): Promise<TwilioStandIn> {
  const accountSid = `AC${randomBytes(16).toString('hex')}`;
  const authToken = randomBytes(16).toString('hex');
  const accepted: TwilioMessage[] = [];
  const steps: TwilioStep[] = [];
  const refused = new Map<string, number>();
  let calls = 0;
  const certificate = makeCertificate([HOST]);

  const take = (form: URLSearchParams, response?: ServerResponse) => {
    const message = readMessage(form);
    accepted.push(message);
    if (response) answer(response, 201, resourceOf(message, accountSid));
  };
  const handle = async (request: IncomingMessage, response: ServerResponse) => {
    calls++;
    const body = await bodyOf(request);
    options.heard?.(headOf(request), body);
    const form = new URLSearchParams(body);
    const step = steps.shift() ?? 'accept';
    await sleep(options.latency ?? 0);
    if (step === 'hang') return;
    if (step === 'reset') return void request.socket.destroy();
    if (typeof step === 'object') return scripted(response, step);
    const fault = faultOf(request, form, { accountSid, authToken }) ?? refusalOf(refused.get(form.get('To') ?? ''));
    if (fault) return refuseWith(response, fault);
    take(form, step === 'accept' ? response : undefined);
    if (step === 'accept, then reset') request.socket.destroy();
    if (step === 'accept, then mumble') response.writeHead(201, { 'content-type': 'text/html' }).end('<p>Created');
  };
  const server = createServer(certificate, (request, response) => void handle(request, response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;

  const callback: TwilioStandIn['callback'] = (url, params, token = authToken) => signed(url, params, token);
  const about = { AccountSid: accountSid, ApiVersion: '2010-04-01' };
  return {
    accountSid,
    authToken,
    redirects: { [HOST]: { port, ca: certificate.cert } },
    accepted,
    calls: () => calls,
    script: (...next) => void steps.push(...next),
    refuse: (to, code) => void refused.set(to, code),
    callback,
    report: (message, status, errorCode) =>
      callback(message.statusCallback ?? '', { ...about, ...statusParams(message, status, errorCode) }),
    reply: (url, from, body, optOutType) => callback(url, { ...about, ...inboundParams(from, body, optOutType) }),
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** An error as Twilio answers it. */
interface Fault {
  readonly status: number;
  readonly code: number;
  readonly message: string;
}

const UNAUTHORIZED: Fault = { status: 401, code: 20003, message: 'Authenticate' };

function faultOf(request: IncomingMessage, form: URLSearchParams, account: { accountSid: string; authToken: string }): Fault | undefined {
  const expected = Buffer.from(`Basic ${Buffer.from(`${account.accountSid}:${account.authToken}`).toString('base64')}`);
  const given = Buffer.from(request.headers.authorization ?? '');
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) return UNAUTHORIZED;
  if (request.method !== 'POST' || request.url !== `/2010-04-01/Accounts/${account.accountSid}/Messages.json`) {
    return { status: 404, code: 20404, message: 'The requested resource was not found' };
  }
  const bad = (code: number, message: string): Fault => ({ status: 400, code, message });
  const to = form.get('To');
  if (!to) return bad(21604, "A 'To' phone number is required.");
  if (!form.get('From') && !form.get('MessagingServiceSid')) return bad(21603, "A 'From' phone number is required.");
  if (!form.get('Body')) return bad(21602, 'Message body is required.');
  if ((form.get('Body') ?? '').length > MAX_BODY) return bad(21617, 'The concatenated message body exceeds the 1600 character limit.');
  return /^\+[1-9]\d{6,14}$/.test(to) ? undefined : bad(21211, `The 'To' number ${to} is not a valid phone number.`);
}

const refusalOf = (code: number | undefined): Fault | undefined =>
  code === undefined ? undefined : { status: 400, code, message: 'The message cannot be sent to this number.' };

function readMessage(form: URLSearchParams): TwilioMessage {
  const optional = (name: string, key: string) => (form.get(key) ? { [name]: form.get(key) as string } : {});
  return {
    sid: `SM${randomBytes(16).toString('hex')}`,
    to: form.get('To') ?? '',
    body: form.get('Body') ?? '',
    ...optional('from', 'From'),
    ...optional('messagingServiceSid', 'MessagingServiceSid'),
    ...optional('statusCallback', 'StatusCallback'),
  };
}

/** The message as the API shows it (https://www.twilio.com/docs/messaging/api/message-resource). */
function resourceOf({ sid, to, from, messagingServiceSid, body }: TwilioMessage, accountSid: string): object {
  return {
    account_sid: accountSid,
    api_version: '2010-04-01',
    body,
    date_created: new Date().toUTCString(),
    date_sent: null,
    date_updated: new Date().toUTCString(),
    direction: 'outbound-api',
    error_code: null,
    error_message: null,
    from: from ?? null,
    messaging_service_sid: messagingServiceSid ?? null,
    num_media: '0',
    num_segments: '1',
    price: null,
    price_unit: null,
    sid,
    status: messagingServiceSid ? 'accepted' : 'queued',
    subresource_uris: { media: `/2010-04-01/Accounts/${accountSid}/Messages/${sid}/Media.json` },
    to,
    uri: `/2010-04-01/Accounts/${accountSid}/Messages/${sid}.json`,
  };
}

function scripted(response: ServerResponse, { status, code, retryAfter, text }: Exclude<TwilioStep, string>): void {
  if (retryAfter !== undefined) response.setHeader('retry-after', retryAfter);
  if (code !== undefined) refuseWith(response, { status, code, message: text ?? 'Scripted.' });
  else response.writeHead(status, { 'content-type': 'text/html' }).end(text ?? '<h1>Scripted</h1>');
}

const refuseWith = (response: ServerResponse, { status, code, message }: Fault) =>
  answer(response, status, { code, message, more_info: `https://www.twilio.com/docs/errors/${code}`, status });

const answer = (response: ServerResponse, status: number, body: object) =>
  void response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));

async function bodyOf(request: IncomingMessage): Promise<string> {
  let body = '';
  for await (const chunk of request.setEncoding('utf8')) body += chunk;
  return body;
}

/** HMAC-SHA1 over the URL and the parameters sorted by name (https://www.twilio.com/docs/usage/security). */
function signed(url: string, params: Readonly<Record<string, string>>, token: string): TwilioCallback {
  const text =
    url +
    Object.keys(params)
      .sort()
      .map((name) => name + params[name])
      .join('');
  return {
    method: 'POST',
    headers: {
      'content-type': 'application/x-www-form-urlencoded; charset=UTF-8',
      'x-twilio-signature': createHmac('sha1', token).update(text, 'utf8').digest('base64'),
    },
    body: new URLSearchParams(params).toString(),
  };
}

const statusParams = (message: TwilioMessage, status: string, errorCode: number | undefined): Record<string, string> => ({
  MessageSid: message.sid,
  SmsSid: message.sid,
  MessageStatus: status,
  SmsStatus: status,
  To: message.to,
  ...(message.from && { From: message.from }),
  ...(message.messagingServiceSid && { MessagingServiceSid: message.messagingServiceSid }),
  ...(errorCode !== undefined && { ErrorCode: String(errorCode) }),
});

function inboundParams(from: string, body: string, optOutType: string | undefined): Record<string, string> {
  const sid = `SM${randomBytes(16).toString('hex')}`;
  return {
    MessageSid: sid,
    SmsMessageSid: sid,
    SmsSid: sid,
    SmsStatus: 'received',
    From: from,
    To: '+15005550006',
    Body: body,
    NumMedia: '0',
    NumSegments: '1',
    FromCountry: 'US',
    ...(optOutType && { OptOutType: optOutType }),
  };
}
