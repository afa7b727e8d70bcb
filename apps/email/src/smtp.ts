import type { Readable } from 'node:stream';
import { failed, handEach, type Message, type Provider, type Sent } from '@carillon/channel';
import { CarillonError, type ErrorCode } from '@carillon/contracts';
import type { Transporter } from 'nodemailer';
import { mailOf } from './mail.js';

/** Connections at once: what most mail servers grant one client. */
const MAX_CONNECTIONS = 10;

export interface SmtpOptions {
  /** `smtp://` or `smtps://`, with user and password. Beyond this machine `smtp://` goes on with TLS or not at all, unless it says `?requireTLS=false`. */
  readonly url: string;
  /** Sender, unless the template names another. */
  readonly from: string;
}

/** What nodemailer rejects with. */
interface Failure {
  readonly code?: string;
  /** The command that was answered; `CONN` for the connection itself. */
  readonly command?: string;
  /** Of the server's answer, and the answer. */
  readonly responseCode?: number;
  readonly response?: string;
}

/** The content of the mail on its way, for whoever wants to know whether any of it left. */
interface Handover {
  content?: Readable;
}

/** Mail by a mail server. */
export function createSmtp({ url, from: defaultFrom }: SmtpOptions): Provider {
  let transporter: Promise<Transporter> | undefined;
  const hand = async (message: Message, signal: AbortSignal): Promise<Sent> => {
    const { from, replyTo, to, headers, ...content } = mailOf(message, defaultFrom);
    transporter ??= openTransporter(url);
    const handover: Handover = {};
    try {
      const { messageId } = await (await transporter).sendMail({
        ...content,
        // Structured, so that no part of an address is ever read as another one.
        from,
        to: { name: '', address: to },
        ...(replyTo !== undefined && { replyTo }),
        headers: { ...headers },
        // The same for every try of a delivery: some servers and mail programs show a repeat once.
        messageId: `<${message.tag}@${from.address.slice(from.address.lastIndexOf('@') + 1)}>`,
        signal,
        handover,
      } as Parameters<Transporter['sendMail']>[0]);
      return { ok: true, providerMessageId: String(messageId).replace(/^<|>$/g, '') };
    } catch (thrown) {
      return failureOf(thrown as Failure, handover.content?.readableDidRead === true);
    }
  };
  return {
    name: 'smtp',
    kinds: ['email'],
    send: (messages, signal) => handEach(messages, signal, hand),
    async close() {
      (await transporter?.catch(() => undefined))?.close();
    },
  };
}

async function openTransporter(url: string): Promise<Transporter> {
  const { createTransport } = await import('nodemailer');
  const transporter: Transporter = createTransport({
    pool: true,
    url,
    maxConnections: MAX_CONNECTIONS,
    // The address's own word goes before it.
    requireTLS: !isLoopback(url),
    // Once more over a fresh connection if a kept one turns out to be closed, before any of the mail was sent; more is the caller's affair.
    maxRequeues: 1,
    disableFileAccess: true,
    disableUrlAccess: true,
  });
  transporter.use('stream', (mail, done) => {
    mail.message.processFunc((content) => {
      ((mail.data as { handover?: Handover }).handover ?? {}).content = content as Readable;
      return content;
    });
    done();
  });
  return transporter;
}

/** Whether it is this machine, where nobody listens in. */
function isLoopback(url: string): boolean {
  return /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/i.test(new URL(url).hostname);
}

function failureOf({ code, command, responseCode, response }: Failure, left: boolean): Sent {
  if (responseCode !== undefined && responseCode >= 400 && responseCode < 600) {
    const where = command === undefined || command === 'CONN' ? '' : ` to ${command.split(' ', 1)[0]}`;
    return refused(refusalOf(responseCode, command ?? 'CONN', response ?? ''), `The mail server answered ${responseCode}${where}.`);
  }
  const name = code === undefined ? '' : ` (${code})`;
  // Content goes out only once the server has agreed to recipient and DATA; before that it cannot have accepted anything.
  if (left) return failed('PROVIDER_OUTCOME_UNKNOWN', `The mail server was given the message and did not answer${name}.`);
  return failed(unsent[code ?? ''] ?? 'PROVIDER_UNAVAILABLE', `The mail could not be handed over${name}.`);
}

/** nodemailer's codes for what fails before anything is sent, where it is not the server that is away. */
const unsent: Readonly<Record<string, ErrorCode>> = {
  EAUTH: 'PROVIDER_MISCONFIGURED',
  ENOAUTH: 'PROVIDER_MISCONFIGURED',
  ECONFIG: 'PROVIDER_MISCONFIGURED',
  EENVELOPE: 'PROVIDER_REFUSED',
  EMESSAGE: 'PROVIDER_REFUSED',
};
/** Answers that ask for other credentials or for encryption (RFC 4954). */
const CREDENTIALS = [530, 534, 535, 538];
/** Enhanced codes (RFC 3463) of an address that does not exist, moved or is shut. */
const DEAD_ADDRESS = /^\d{3}[ -]5\.(1\.([1236]|10)|2\.1)\b/;
/** That of a server which has a fault of its own. */
const ILL_SERVER = /^\d{3}[ -]4\.3\.\d/;
/** How long a mailbox that takes nothing for now is left alone, ms: greylisting asks for some minutes, and every try counts. */
const DEFERRED_MS = 60_000;

/** What a server's own answer means: the mail was surely not taken. */
function refusalOf(status: number, command: string, response: string): ErrorCode {
  // 421 is a server that goes away, whatever it was asked.
  if (status < 500)
    return command === 'RCPT TO' && status !== 421 && !ILL_SERVER.test(response) ? 'PROVIDER_LIMITED' : 'PROVIDER_UNAVAILABLE';
  if (command.startsWith('AUTH') || command === 'STARTTLS' || CREDENTIALS.includes(status)) return 'PROVIDER_MISCONFIGURED';
  // Without a command it is us, not this mail, that the server does not want.
  if (!['MAIL FROM', 'RCPT TO', 'DATA'].includes(command)) return 'PROVIDER_UNAVAILABLE';
  // 550 by itself says nothing of the address: a server that does not relay for us answers so to every one.
  return command === 'RCPT TO' && DEAD_ADDRESS.test(response) ? 'ADDRESS_UNREACHABLE' : 'PROVIDER_REFUSED';
}

/** A limit that a mail server tells of is that of the mailbox. */
function refused(code: ErrorCode, message: string): Sent {
  if (code !== 'PROVIDER_LIMITED') return failed(code, message);
  return { ok: false, error: new CarillonError(code, { message, field: 'to', retryAfter: DEFERRED_MS }) };
}
