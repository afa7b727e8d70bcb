import { once } from 'node:events';
import type { AddressInfo, Server, Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { type AddressObject, simpleParser } from 'mailparser';
import { SMTPServer, type SMTPServerDataStream, type SMTPServerSession } from 'smtp-server';

/** One mail the server took. */
export interface SmtpMail {
  /** The `Message-ID`, without its brackets. */
  readonly id: string;
  /** The envelope's recipient. */
  readonly to: string;
  /** Addresses of the headers, which may differ from the envelope's. */
  readonly headerTo: readonly string[];
  readonly from: string;
  readonly replyTo?: string;
  readonly subject: string;
  readonly text?: string;
  readonly html?: string;
  /** Unfolded lines by name in lower case; a name that came twice has the last. */
  readonly headers: Readonly<Record<string, string>>;
  /** Names in lower case, each as often as it came. */
  readonly headerNames: readonly string[];
  /** ms since the epoch. */
  readonly at: number;
  readonly raw: Buffer;
}

/** When the server answers otherwise than it should. */
export type SmtpStage = 'connect' | 'mail' | 'rcpt' | 'data';

/** What happens to one mail, or, with stage `connect`, to one connection. */
export type SmtpStep =
  | 'accept'
  /** Answers so at this stage; `data` is the answer to the whole mail. `text` may begin with an enhanced code. */
  | { readonly at: SmtpStage; readonly code: number; readonly text?: string }
  /** The connection breaks at this stage: `data` in the middle of the mail. */
  | { readonly at: SmtpStage; readonly drop: true }
  /** The mail is accepted, and the connection breaks before the answer. */
  | 'drop after data'
  /** Never answers at this stage; `data` has the whole mail, and has not accepted it. */
  | { readonly at: SmtpStage; readonly hang: true }
  | { readonly delay: number; readonly next: SmtpStep };

export interface SmtpOptions {
  /** Who may send; anybody if absent. */
  readonly auth?: { readonly user: string; readonly pass: string };
  /** A free one if absent. */
  readonly port?: number;
  /** Told of each recipient, and of each mail as it came and as it is read, whatever becomes of it. */
  readonly heard?: (text: string) => void;
  /** ms a mail takes between its last byte and the answer. */
  readonly latency?: number;
  /** Offers STARTTLS, with a certificate nobody vouches for. */
  readonly starttls?: boolean;
}

/** A mail server on the loopback interface. Made by startSmtp; call `close` when done. */
export interface SmtpStandIn {
  /** `smtp://`, with user and password if it asks for them. */
  readonly url: string;
  readonly port: number;
  readonly accepted: readonly SmtpMail[];
  /** Connections opened to it so far. */
  readonly connections: number;
  /** What happens to mails for which nothing is scripted; `accept` at first. */
  otherwise: SmtpStep;
  /** Adds what happens to the next mails, one step each. A step of stage `connect` waits for the next connection. */
  script(...steps: SmtpStep[]): void;
  close(): Promise<void>;
}

/** Starts it. */
export async function startSmtp(options: SmtpOptions = {}): Promise<SmtpStandIn> {
  const standIn = new StandIn(options);
  await standIn.listen(options.port ?? 0);
  return standIn;
}

type Done = (error?: Error | null) => void;

class StandIn implements SmtpStandIn {
  readonly accepted: SmtpMail[] = [];
  connections = 0;
  otherwise: SmtpStep = 'accept';
  readonly #options: SmtpOptions;
  readonly #server: SMTPServer;
  readonly #steps: SmtpStep[] = [];
  /** By the client's port, as sessions name it. */
  readonly #sockets = new Map<number, Socket>();
  /** What happens to the mail under way, by session id. */
  readonly #underWay = new Map<string, SmtpStep>();

  constructor(options: SmtpOptions) {
    this.#options = options;
    const { auth, starttls = false } = options;
    this.#server = new SMTPServer({
      authOptional: auth === undefined,
      allowInsecureAuth: true,
      hideSTARTTLS: !starttls,
      disableReverseLookup: true,
      closeTimeout: 100,
      logger: false,
      onAuth({ username, password }, _session, done) {
        const known = username === auth?.user && password === auth?.pass;
        if (known) done(null, { user: username });
        else done(refusal(535, '5.7.8 Authentication failed'));
      },
      onConnect: (session, done) => this.#connect(session, done),
      onMailFrom: (_address, session, done) => this.#mail(session, done),
      onRcptTo: ({ address }, session, done) => {
        options.heard?.(address);
        this.#stage('rcpt', session, done);
      },
      onData: (stream, session, done) => void this.#data(stream, session, done),
    });
    // A client that goes away is no fault of the server.
    this.#server.on('error', () => undefined);
    this.#server.server.on('connection', (socket: Socket) => {
      this.connections++;
      const port = socket.remotePort ?? 0;
      this.#sockets.set(port, socket);
      socket.once('close', () => this.#sockets.delete(port));
    });
  }

  async listen(port: number): Promise<void> {
    const server: Server = this.#server.listen(port, '127.0.0.1');
    if (!server.listening) await once(server, 'listening');
  }

  get port(): number {
    return (this.#server.server.address() as AddressInfo).port;
  }

  get url(): string {
    const { auth } = this.#options;
    const login = auth ? `${encodeURIComponent(auth.user)}:${encodeURIComponent(auth.pass)}@` : '';
    return `smtp://${login}127.0.0.1:${this.port}`;
  }

  script(...steps: SmtpStep[]): void {
    this.#steps.push(...steps);
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const socket of this.#sockets.values()) socket.destroy();
    await closed;
  }

  #connect(session: SMTPServerSession, done: Done): void {
    const step = this.#steps[0] ?? this.otherwise;
    if (stageOf(step) !== 'connect') done();
    else {
      this.#steps.shift();
      this.#perform(step, session, done);
    }
  }

  #mail(session: SMTPServerSession, done: Done): void {
    const step = this.#steps.shift() ?? this.otherwise;
    const go = (next: SmtpStep) => {
      this.#underWay.set(session.id, next);
      this.#stage('mail', session, done);
    };
    if (typeof step === 'object' && 'delay' in step) void pause(step.delay).then(() => go(step.next));
    else go(step);
  }

  /** Does what is scripted for this stage of the mail under way, if anything is. */
  #stage(stage: SmtpStage, session: SMTPServerSession, done: Done): void {
    const step = this.#underWay.get(session.id) ?? 'accept';
    if (stageOf(step) === stage) this.#perform(step, session, done);
    else done();
  }

  #perform(step: SmtpStep, session: SMTPServerSession, done: Done): void {
    if (typeof step === 'object' && 'code' in step) done(refusal(step.code, step.text ?? 'scripted'));
    else if (typeof step === 'object' && 'drop' in step) this.#drop(session);
    else if (step === 'drop after data') this.#drop(session);
  }

  #drop(session: SMTPServerSession): void {
    this.#sockets.get(session.remotePort)?.destroy();
  }

  async #data(stream: SMTPServerDataStream, session: SMTPServerSession, done: Done): Promise<void> {
    const step = this.#underWay.get(session.id) ?? 'accept';
    const chunks: Buffer[] = [];
    try {
      for await (const chunk of stream as AsyncIterable<Buffer>) {
        if (typeof step === 'object' && 'drop' in step) return this.#drop(session);
        chunks.push(chunk);
      }
      const raw = Buffer.concat(chunks);
      const mails = await Promise.all(session.envelope.rcptTo.map(({ address }) => parseMail(raw, address)));
      for (const mail of mails) this.#options.heard?.(`${raw.toString()}\n${JSON.stringify({ ...mail, raw: undefined })}`);
      if (stageOf(step) === 'data') return this.#perform(step, session, done);
      this.accepted.push(...mails);
      await pause(this.#options.latency ?? 0);
      if (step === 'drop after data') this.#drop(session);
      else done();
    } catch (error) {
      done(error as Error);
    }
  }
}

/** Keeps no process alive. */
const pause = async (ms: number) => (ms > 0 ? sleep(ms, undefined, { ref: false }) : undefined);

const stageOf = (step: SmtpStep): SmtpStage | undefined => (typeof step === 'object' && 'at' in step ? step.at : undefined);

const refusal = (responseCode: number, message: string) => Object.assign(new Error(message), { responseCode });

const addressesOf = (header: AddressObject | AddressObject[] | undefined) =>
  [header ?? []].flat().flatMap(({ value }) => value.map(({ address }) => address ?? ''));

async function parseMail(raw: Buffer, to: string): Promise<SmtpMail> {
  const mail = await simpleParser(raw, { skipHtmlToText: true, skipTextToHtml: true });
  const [replyTo] = addressesOf(mail.replyTo);
  const lines = mail.headerLines.map(({ key, line }) => [
    key,
    line
      .slice(line.indexOf(':') + 1)
      .replace(/\r?\n(?=[ \t])/g, '')
      .trim(),
  ]);
  return {
    id: (mail.messageId ?? '').replace(/^<|>$/g, ''),
    to,
    headerTo: addressesOf(mail.to),
    from: addressesOf(mail.from)[0] ?? '',
    ...(replyTo !== undefined && { replyTo }),
    subject: mail.subject ?? '',
    ...(mail.text !== undefined && { text: mail.text }),
    ...(mail.html && { html: mail.html }),
    headers: Object.fromEntries(lines) as Record<string, string>,
    headerNames: lines.map(([name]) => name as string),
    at: Date.now(),
    raw,
  };
}
