// Clients that come back: each knows where it stands in its log, and resumes there. On raw sockets; waits as packages/client does.
import { argument, now, serveRole } from '../role.js';
import { backoff } from '../sockets/backoff.js';
import { frames } from '../sockets/speech.js';
import { type Answered, opcodes, Wire } from '../sockets/wire.js';

/** What became of all clients since `watch`. */
export interface StormReport {
  /** Handshakes answered 503 or 429. */
  readonly refused: number;
  /** Connections that nobody listened to, or that broke before an answer. */
  readonly unreachable: number;
  /** Sockets that were closed or broke after their handshake. */
  readonly closed: number;
  /** Of the clients that asked to resume: those told that they could, and those told that they could not. */
  readonly recovered: number;
  readonly unrecovered: number;
  /** Messages of which one before was not there; that came again; and all that came. */
  readonly gaps: number;
  readonly repeated: number;
  readonly messages: number;
}

/** When each client was welcome for the last time, µs. */
export type WelcomedAt = Float64Array;

interface Client {
  readonly token: string;
  readonly index: number;
  /** Whether the server knows it now. */
  isWelcome: boolean;
  welcomedAt: number;
  attempts: number;
  position: { readonly epoch: string; offset: number } | undefined;
}

/** Addresses that sockets come from in turn. */
const ADDRESSES = 4;

const port = Number(argument('socketPort'));
/** The yardstick has nothing to resume. */
const resumes = argument('resumes') === 'true';
const clients: Client[] = [];
let report = fresh();
let waiting: { readonly offset: number; readonly resolve: () => void } | undefined;

function fresh() {
  return { refused: 0, unreachable: 0, closed: 0, recovered: 0, unrecovered: 0, gaps: 0, repeated: 0, messages: 0 };
}

const isBack = (client: Client, offset: number) => client.isWelcome && (!resumes || (client.position?.offset ?? -1) >= offset);

/** The clients that are not back are few at the end, which is when it matters; none is looked at twice before. */
function look(): void {
  if (!waiting) return;
  const { offset, resolve } = waiting;
  while (pending.length > 0 && isBack(pending[pending.length - 1] as Client, offset)) pending.pop();
  if (pending.length > 0) return;
  pending = clients.filter((client) => !isBack(client, offset));
  if (pending.length === 0) {
    waiting = undefined;
    resolve();
  }
}
let pending: Client[] = [];

function connect(client: Client): void {
  let hasOpened = false;
  const wire = new Wire({
    port,
    path: frames.path,
    from: `127.0.0.${1 + (client.index % ADDRESSES)}`,
    opened() {
      hasOpened = true;
      wire.send(JSON.stringify({ type: 'authenticate', token: client.token, ...(resumes && client.position) }));
    },
    frame(opcode, bytes, start, end) {
      if (opcode === opcodes.text) hear(client, JSON.parse(bytes.toString('utf8', start, end)));
    },
    closed: (refused) => comeBack(client, hasOpened, refused),
  });
}

function comeBack(client: Client, hadOpened: boolean, refused: Answered | undefined): void {
  client.isWelcome = false;
  if (refused) report.refused++;
  else if (hadOpened) report.closed++;
  else report.unreachable++;
  setTimeout(() => connect(client), Math.max(backoff(client.attempts++), refused?.retryAfter ?? 0));
}

interface Frame {
  readonly type: string;
  readonly offset?: number;
  readonly data?: { readonly epoch: string; readonly offset: number; readonly recovered: boolean };
}

function hear(client: Client, { type, offset, data }: Frame): void {
  if (type === 'authenticated') {
    client.isWelcome = true;
    client.welcomedAt = now();
    if (resumes && data) {
      if (client.position) report[data.recovered ? 'recovered' : 'unrecovered']++;
      else client.position = { epoch: data.epoch, offset: data.offset };
    }
  } else if (type === 'notification') {
    report.messages++;
    if (client.position && offset !== undefined) advance(client.position, offset);
  }
  look();
}

function advance(position: { offset: number }, offset: number): void {
  if (offset <= position.offset) report.repeated++;
  else {
    if (offset > position.offset + 1) report.gaps++;
    position.offset = offset;
  }
}

serveRole({
  start(tokens: string[]) {
    for (const token of tokens)
      clients.push({ token, index: clients.length, isWelcome: false, welcomedAt: 0, attempts: 0, position: undefined });
    for (const client of clients) setTimeout(() => connect(client), backoff(0));
  },
  /** Counts anew, as if all had been connected for long. */
  watch() {
    report = fresh();
    for (const client of clients) client.attempts = 0;
  },
  /** Resolves when all are connected and, where they resume, have heard all up to an offset. */
  back: (offset: number) =>
    new Promise<void>((resolve) => {
      waiting = { offset, resolve };
      look();
    }),
  /** How many are. */
  count: (offset: number) => clients.filter((client) => isBack(client, offset)).length,
  report: (): StormReport => report,
  welcomedAt: (): WelcomedAt => Float64Array.from(clients, (client) => client.welcomedAt),
});
