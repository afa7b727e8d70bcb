import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Certificate, makeCertificate } from './certificate.js';
import { type Heard, headOf } from './heard.js';
import type { RedirectTable } from './redirect.js';
import { createSendGridEvents, type SendGridEvents } from './sendgrid-events.js';
import { readMailSend, type SendGridFault, type SendGridMail } from './sendgrid-mail.js';

/** Where SendGrid is. */
const HOST = 'api.sendgrid.com';
/** Bytes a request may have, as SendGrid documents it. */
const MAX_BODY = 30 * 1024 * 1024;

/** What the stand-in does with one call. Whatever accepts checks the request first, and refuses as SendGrid would. */
export type SendGridStep =
  | 'accept'
  /** Keeps the connection open and never answers. */
  | 'hang'
  | 'hang after accept'
  /** The connection is reset (RST) once the request is read. */
  | 'reset before accept'
  | 'reset after accept'
  /** Answers so and accepts nothing; a body of SendGrid's shape unless told. */
  | { readonly status: number; readonly headers?: Readonly<Record<string, string>>; readonly body?: unknown }
  /** Waits so many ms first. */
  | { readonly delay: number; readonly next: SendGridStep };

/** A step for every call whose mail goes to this address, whatever else is scripted. */
export interface SendGridMatch {
  readonly match: string;
  readonly next: SendGridStep;
}

/** One call, as it arrived and as it was answered. */
export interface SendGridCall {
  /** ms since the epoch. */
  readonly at: number;
  readonly authorised: boolean;
  /** The status answered, or why there was none; absent while under way. */
  status?: number | 'hang' | 'reset';
}

export interface SendGridOptions {
  /** The key that is let in; a generated one if absent. */
  readonly apiKey?: string;
  /** A free one if absent. */
  readonly port?: number;
  /** ms each answer takes; a mail is accepted after half of it. */
  readonly latency?: number;
  readonly heard?: Heard;
  /** Speaks HTTPS, with a certificate for SendGrid's own host that only `redirects` vouches for. */
  readonly tls?: boolean;
}

/** SendGrid's v3 `mail/send` and its signed event webhook, over HTTP. Made by startSendGrid; call `close` when done. */
export interface SendGridStandIn {
  readonly baseUrl: string;
  /** For `redirectHosts`, so that it is found where SendGrid is; empty unless it speaks HTTPS. */
  readonly redirects: RedirectTable;
  readonly port: number;
  readonly apiKey: string;
  /** All it took, one entry per recipient, in order. */
  readonly accepted: readonly SendGridMail[];
  readonly calls: readonly SendGridCall[];
  /** Connections opened to it so far. */
  readonly connections: number;
  latency: number;
  /** What happens to calls for which nothing is scripted; `accept` at first. */
  otherwise: SendGridStep;
  /** Adds what happens to the next calls, one step each, and rules by address. */
  script(...steps: (SendGridStep | SendGridMatch)[]): void;
  /** Forgets the script, mails and calls; connections stay. */
  reset(): void;
  readonly events: SendGridEvents;
  close(): Promise<void>;
}

/** Starts it on the loopback interface. */
export async function startSendGrid(options: SendGridOptions = {}): Promise<SendGridStandIn> {
  const standIn = new StandIn(options);
  await standIn.listen(options.port ?? 0);
  return standIn;
}

/** A call under way. */
interface Exchange {
  readonly call: SendGridCall;
  readonly body: Buffer;
  readonly response: ServerResponse;
}

/** Keeps no process alive. */
const pause = async (ms: number) => (ms > 0 ? sleep(ms, undefined, { ref: false }) : undefined);

const fault = (message: string, field: string | null = null): SendGridFault => ({ message, field, help: null });

class StandIn implements SendGridStandIn {
  readonly apiKey: string;
  readonly accepted: SendGridMail[] = [];
  readonly calls: SendGridCall[] = [];
  readonly events = createSendGridEvents();
  connections = 0;
  latency: number;
  otherwise: SendGridStep = 'accept';
  readonly #certificate: Certificate | undefined;
  readonly #server: Server;
  readonly #heard: Heard | undefined;
  readonly #steps: SendGridStep[] = [];
  readonly #rules = new Map<string, SendGridStep>();

  constructor({ apiKey, latency, heard, tls = false }: SendGridOptions) {
    this.#heard = heard;
    if (tls) this.#certificate = makeCertificate([HOST, '127.0.0.1']);
    this.apiKey = apiKey ?? `SG.${randomBytes(16).toString('base64url')}.${randomBytes(32).toString('base64url')}`;
    this.latency = latency ?? 0;
    const serve = (request: IncomingMessage, response: ServerResponse) => {
      // A client that goes away in the middle of a request is no fault of the stand-in.
      this.#serve(request, response).catch(() => response.destroy());
    };
    this.#server = this.#certificate ? createTlsServer({ ...this.#certificate }, serve) : createServer(serve);
    this.#server.on('connection', () => {
      this.connections++;
    });
  }

  async listen(port: number): Promise<void> {
    this.#server.listen(port, '127.0.0.1');
    await once(this.#server, 'listening');
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get baseUrl(): string {
    return `${this.#certificate ? 'https' : 'http'}://127.0.0.1:${this.port}`;
  }

  get redirects(): RedirectTable {
    return this.#certificate ? { [HOST]: { port: this.port, ca: this.#certificate.cert } } : {};
  }

  script(...steps: (SendGridStep | SendGridMatch)[]): void {
    for (const step of steps) {
      if (typeof step === 'object' && 'match' in step) this.#rules.set(step.match, step.next);
      else this.#steps.push(step);
    }
  }

  reset(): void {
    this.#steps.length = 0;
    this.#rules.clear();
    this.otherwise = 'accept';
    this.accepted.length = 0;
    this.calls.length = 0;
  }

  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.#server.closeAllConnections();
    await closed;
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const authorised = request.headers.authorization === `Bearer ${this.apiKey}`;
    const call: SendGridCall = { at: Date.now(), authorised };
    this.calls.push(call);
    const body = await readBody(request);
    this.#heard?.(headOf(request), body?.toString() ?? '');
    const exchange: Exchange = { call, response, body: body ?? Buffer.alloc(0) };
    if (request.method !== 'POST' || request.url !== '/v3/mail/send') return answer(exchange, 404, [fault('not found')]);
    if (!body) return answer(exchange, 413, [fault('The JSON payload you have included in your request is too large.')]);
    if (!authorised) return answer(exchange, 401, [fault('The provided authorization grant is invalid, expired, or revoked')]);
    if (!/^application\/json\b/.test(request.headers['content-type'] ?? '')) {
      return answer(exchange, 415, [fault('Content-Type should be application/json.')]);
    }
    await this.#act(this.#step(body), exchange);
  }

  /** What to do with this call. */
  #step(body: Buffer): SendGridStep {
    const read = this.#rules.size > 0 ? readMailSend(body) : undefined;
    for (const { to } of read?.mails ?? []) {
      const rule = this.#rules.get(to);
      if (rule) return rule;
    }
    return this.#steps.shift() ?? this.otherwise;
  }

  async #act(step: SendGridStep, exchange: Exchange): Promise<void> {
    if (typeof step === 'object' && 'delay' in step) {
      await pause(step.delay);
      return this.#act(step.next, exchange);
    }
    await pause(this.latency / 2);
    if (typeof step === 'object') {
      await pause(this.latency / 2);
      return answer(exchange, step.status, step.body ?? [fault('scripted')], step.headers);
    }
    if (step === 'hang') return leave(exchange, 'hang');
    if (step === 'reset before accept') return leave(exchange, 'reset');
    await this.#accept(step, exchange);
  }

  async #accept(step: 'accept' | 'hang after accept' | 'reset after accept', exchange: Exchange): Promise<void> {
    const { mails, faults } = readMailSend(exchange.body);
    if (faults.length > 0) return answer(exchange, 400, faults);
    const id = randomBytes(16).toString('base64url');
    this.accepted.push(...mails.map((mail) => ({ ...mail, id, at: Date.now() })));
    if (step === 'hang after accept') return leave(exchange, 'hang');
    if (step === 'reset after accept') return leave(exchange, 'reset');
    await pause(this.latency / 2);
    answer(exchange, 202, '', { 'X-Message-Id': id });
  }
}

/** Undefined if it is larger than SendGrid takes. */
async function readBody(request: IncomingMessage): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    // Read to the end all the same, so that the client gets the answer rather than a broken pipe.
    if (size <= MAX_BODY) chunks.push(chunk);
  }
  return size <= MAX_BODY ? Buffer.concat(chunks) : undefined;
}

/** A list is one of faults. */
function answer({ call, response }: Exchange, status: number, body: unknown, headers: Readonly<Record<string, string>> = {}): void {
  call.status = status;
  const text = typeof body === 'string' ? body : JSON.stringify(Array.isArray(body) ? { errors: body } : body);
  response.writeHead(status, { Server: 'nginx', ...(text && { 'Content-Type': 'application/json' }), ...headers }).end(text);
}

function leave({ call, response }: Exchange, how: 'hang' | 'reset'): void {
  call.status = how;
  if (how === 'reset') response.socket?.resetAndDestroy();
}
