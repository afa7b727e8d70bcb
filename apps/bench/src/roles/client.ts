// All users' sockets in one process, the same for both sides: notes when each notification arrives.
import { WebSocket } from 'ws';
import { now, serveRole } from '../role.js';

/** What arrived since the last time somebody asked, in order. Times are µs. */
export interface Arrivals {
  readonly ids: string[];
  readonly at: Float64Array;
}

const NOTIFICATION = '{"type":"notification"';
const ID = '"id":"';
/** Characters of a UUID. */
const ID_LENGTH = 36;
/** Sockets that connect at the same time: more could overrun the listener's backlog. */
const CONNECTING = 20;

const sockets: WebSocket[] = [];
let ids: string[] = [];
let at: number[] = [];
let waiting: { count: number; resolve: () => void } | undefined;

function receive(data: Buffer): void {
  const text = data.toString();
  if (!text.startsWith(NOTIFICATION)) return;
  const start = text.indexOf(ID) + ID.length;
  ids.push(text.slice(start, start + ID_LENGTH));
  at.push(now());
  if (waiting && ids.length >= waiting.count) waiting.resolve();
}

/** Resolves when the server has said that it knows the user. */
function connect(url: string, token: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(url, { perMessageDeflate: false });
    sockets.push(socket);
    socket.once('open', () => socket.send(JSON.stringify({ type: 'authenticate', token })));
    socket.once('message', (data: Buffer) => {
      if (!data.toString().startsWith('{"type":"authenticated"')) return reject(new Error(`not authenticated: ${data.toString()}`));
      socket.on('message', receive);
      resolve();
    });
    socket.once('error', reject);
    socket.once('close', (code) => {
      throw new Error(`a socket was closed with ${code}`);
    });
  });
}

serveRole({
  async connect({ url, tokens }: { url: string; tokens: string[] }) {
    for (let from = 0; from < tokens.length; from += CONNECTING) {
      await Promise.all(tokens.slice(from, from + CONNECTING).map((token) => connect(url, token)));
    }
  },
  arrived: () => ids.length,
  /** Resolves when so many have arrived since the last `take`. */
  waitFor: (count: number) =>
    new Promise<void>((resolve) => {
      waiting = { count, resolve };
      if (ids.length >= count) resolve();
    }),
  take(): Arrivals {
    const taken = { ids, at: Float64Array.from(at) };
    ids = [];
    at = [];
    waiting = undefined;
    return taken;
  },
});
