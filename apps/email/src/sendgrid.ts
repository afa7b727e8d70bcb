import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import {
  failed,
  handEach,
  type Message,
  meaningOfStatus,
  type Provider,
  retryAfterOf,
  type Sent,
  type WatchedConnections,
  watchConnections,
} from '@carillon/channel';
import type { Sender } from '@carillon/contracts';
import type sdk from '@sendgrid/mail';
import { type Mail, mailOf } from './mail.js';

/** How long a connection nobody uses is kept, ms: shorter than servers keep theirs, for a request on one just closed is lost without a word. */
const IDLE_MS = 30_000;

export interface SendGridOptions {
  readonly apiKey: string;
  /** Sender, unless the template names another. */
  readonly from: string;
  /** SendGrid's own if absent. */
  readonly baseUrl?: string;
}

/** The part of the SDK that its types leave out. */
interface Sdk {
  readonly MailService: new () => typeof sdk & { readonly client: Client };
}
interface Client {
  setDefaultHeader(name: string, value: string): unknown;
  setDefaultRequest(request: Readonly<Record<string, unknown>>): unknown;
}

/** What the SDK rejects with: its own error, with the status as its code, or that of its HTTP client. */
interface Failure {
  readonly code?: unknown;
  /** Absent where the SDK did not come to make one. */
  readonly request?: object;
  readonly response?: { readonly status?: number; readonly headers?: Readonly<Record<string, unknown>> };
}

/** Mail by SendGrid's v3 API. */
export function createSendGrid({ apiKey, baseUrl, from }: SendGridOptions): Provider {
  const settings = { keepAlive: true, timeout: IDLE_MS };
  const agents = { httpAgent: new HttpAgent(settings), httpsAgent: new HttpsAgent(settings) };
  const connections = watchConnections(Object.values(agents));
  const defaults = {
    ...(baseUrl !== undefined && { baseUrl }),
    ...agents,
    // A redirect would be followed by a GET without the mail, and its 200 taken for an acceptance.
    maxRedirects: 0,
  };
  const hand = async (message: Message, signal: AbortSignal): Promise<Sent> => {
    const mail = mailOf(message, from);
    const { MailService } = (await import('@sendgrid/mail')).default as unknown as Sdk;
    // One per call, for the signal is the call's; it is no more than its settings, the connections are shared.
    const service = new MailService();
    const { client } = service;
    // Not `setApiKey`, which writes to the console when a key does not look like one.
    client.setDefaultHeader('Authorization', `Bearer ${apiKey}`);
    client.setDefaultRequest({ ...defaults, signal });
    try {
      const [{ headers }] = await service.send(requestOf(mail, message));
      const id: unknown = headers['x-message-id'];
      return { ok: true, ...(typeof id === 'string' && { providerMessageId: id }) };
    } catch (thrown) {
      return failureOf(thrown as Failure, connections);
    }
  };
  return {
    name: 'sendgrid',
    kinds: ['email'],
    send: (messages, signal) => handEach(messages, signal, hand),
    async close() {
      connections.close();
    },
  };
}

const personOf = ({ name, address }: Sender) => ({ email: address, ...(name !== '' && { name }) });

function requestOf({ from, replyTo, to, subject, text, html, headers }: Mail, { ref }: Message) {
  return {
    personalizations: [{ to: [{ email: to }] }],
    from: personOf(from),
    ...(replyTo !== undefined && { replyTo: personOf(replyTo) }),
    subject,
    // SendGrid wants the plain part first.
    content: [{ type: 'text/plain', value: text }, ...(html === undefined ? [] : [{ type: 'text/html', value: html }])] as [
      { type: string; value: string },
    ],
    headers: { ...headers },
    // All that SendGrid learns of us and gives back with its events. Its staff may read it: opaque ids only.
    customArgs: { carillon: ref },
  };
}

function failureOf({ code, request, response }: Failure, { mayHaveLeft }: WatchedConnections): Sent {
  const status = typeof code === 'number' ? code : response?.status;
  const refused = status === undefined ? undefined : meaningOfStatus(status);
  if (refused !== undefined) {
    const retryAfter = refused === 'PROVIDER_UNAVAILABLE' || refused === 'PROVIDER_LIMITED' ? pauseOf(response?.headers) : undefined;
    return failed(refused, `SendGrid answered ${status}.`, retryAfter);
  }
  const name = typeof code === 'string' ? ` (${code})` : '';
  // In any other case something may have left, whatever the error is called.
  if (status === undefined && (request === undefined || !mayHaveLeft(request)))
    return failed('PROVIDER_UNAVAILABLE', `SendGrid could not be reached${name}.`);
  return failed('PROVIDER_OUTCOME_UNKNOWN', `SendGrid was given the message and did not answer${name}.`);
}

/** ms SendGrid asks to wait: by `Retry-After`, else until `X-RateLimit-Reset` (seconds since the epoch). */
function pauseOf(headers: Readonly<Record<string, unknown>> = {}): number | undefined {
  const reset = String(headers['x-ratelimit-reset'] ?? '').trim();
  return retryAfterOf(headers) ?? (/^\d{1,12}$/.test(reset) ? Math.max(0, Number(reset) * 1000 - Date.now()) : undefined);
}
