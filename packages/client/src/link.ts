import type { ClientOptions, ClientState } from './client.js';
import type { Head } from './replica.js';
import type { Frame, Request } from './requests.js';
import { isHidden } from './tabs.js';
import { JUST_FETCHED, type Tokens } from './tokens.js';

/** Whether there is a connection. */
export interface Standing {
  readonly state: ClientState;
  /** With a connection: where the server's log stood. */
  readonly head?: Head | undefined;
  /** What was missed comes by itself, or a page in its place. */
  readonly comes?: boolean;
}

interface LinkParts {
  /** The token to come with: the empty text if there is none, undefined if it cannot be had now. */
  token(): Promise<string | undefined>;
  head(): Head | undefined;
  state(standing: Standing): void;
  hear(frame: Frame): void;
  closed(code: number, reason: string): void;
}

/** Milliseconds of the first window in which a connection is tried again, doubled each time up to the longest. */
const WINDOW = 1000;
const WINDOW_MAX = 30_000;
/** Milliseconds to wait at most, whatever the server said: timers take no more than 31 bits, and end at once above that. */
const LONGEST = 1e9;
/** Milliseconds a connection must have lived for the windows to begin anew. */
const LASTING = 10_000;
/** Milliseconds a server may take to let us in, and to answer. */
const ANSWERED_WITHIN = 15_000;
/** Milliseconds of silence after which it is asked whether the other side lives: the pings of a WebSocket do not reach a page. */
export const SILENCE = 25_000;

const TOKEN_EXPIRED = 3005;
const STAY_AWAY = 3500;

/** A timer for one thing at a time: the last it is given, after `ms` milliseconds, or none. */
export function createTimer() {
  let timer: ReturnType<typeof setTimeout>;
  return (act?: () => void, ms?: number): void => {
    clearTimeout(timer);
    if (act) timer = setTimeout(act, ms);
  };
}

/** One connection to the server after the other, each proving who it is, until it is stopped or the server says to stay away. */
export function createLink(options: ClientOptions, tokens: Tokens, parts: LinkParts) {
  let socket: WebSocket | undefined;
  /** Counts tries: what belongs to an earlier one comes too late. */
  let turn = 0;
  let failures = 0;
  let greetedAt = 0;
  let notBefore = 0;
  let unanswered = 0;
  let isWaiting: boolean | undefined;
  /** To come back, or to lose patience. */
  const plan = createTimer();
  const planRenewal = createTimer();

  const write = (frame: Request) => socket?.send(JSON.stringify(frame));

  const stop = () => {
    turn++;
    plan();
    planRenewal();
    isWaiting = false;
    unanswered = greetedAt = 0;
    const old = socket;
    socket = undefined;
    if (!old) return;
    old.onopen = old.onmessage = old.onclose = null;
    old.close();
  };

  const comeBack = (window: number) => {
    isWaiting = true;
    plan(connect, Math.min(Math.max(notBefore - Date.now(), Math.random() * window), LONGEST));
  };

  const wait = () => {
    parts.state({ state: 'waiting' });
    comeBack(isHidden() ? WINDOW_MAX : Math.min(WINDOW_MAX, WINDOW * 2 ** failures++));
  };

  const close = (code: number, reason: string) => {
    if (greetedAt && Date.now() - greetedAt > LASTING) failures = 0;
    const isExpired = code === TOKEN_EXPIRED || (code === STAY_AWAY && tokens.age() >= JUST_FETCHED);
    stop();
    if (isExpired && options.getToken) tokens.forget();
    else if (code >= STAY_AWAY || code === TOKEN_EXPIRED) return parts.closed(code, reason);
    try {
      notBefore = Date.now() + (Number(JSON.parse(reason).retryAfter) || 0);
    } catch {
      // Most reasons are words.
    }
    wait();
  };

  const lose = () => close(0, '');
  /** Bears silence while there is no question, and then asks one. */
  const expect = () => {
    greetedAt && unanswered <= 0 ? plan(ping, SILENCE) : plan(lose, ANSWERED_WITHIN);
  };

  const renew = async () => {
    const at = turn;
    tokens.forget();
    const token = await parts.token();
    if (at !== turn) return;
    if (token) write({ type: 'authenticate', token });
    else planRenewal(renew, ANSWERED_WITHIN);
  };

  /** Not before half of the life that the token had left when it was fetched: one of short life is told to expire at once. */
  const renewBefore = (expiresAt: number) => {
    if (!options.getToken) return;
    planRenewal(renew, Math.max(expiresAt - Date.now(), 2000) / 2 - tokens.age());
  };

  const receive = (text: string, comes: boolean) => {
    const frame: Frame = JSON.parse(text);
    const { type, data } = frame;
    const isGreeting = type === 'authenticated' && !greetedAt;
    if (isGreeting) greetedAt = Date.now();
    if (frame.requestId) unanswered--;
    expect();
    if (isGreeting) parts.state({ state: 'connected', head: data, comes });
    else if (type === 'tokenExpiring') renewBefore(data.expiresAt);
    else if (type !== 'authenticated') parts.hear(frame);
  };

  /** Sends, if there is a connection. */
  const send = (frame: Request): void => {
    if (!greetedAt) return;
    write(frame);
    // Patience is not renewed by asking more.
    if (unanswered++ <= 0) expect();
  };
  const ping = () => send({ type: 'ping', requestId: 'ping' });

  async function connect(): Promise<void> {
    stop();
    const at = turn;
    parts.state({ state: 'connecting' });
    expect();
    const token = await parts.token();
    if (at !== turn) return;
    if (token === undefined) return wait();
    if (!token) return parts.closed(STAY_AWAY, 'NO_TOKEN');
    try {
      socket = new (options.WebSocket ?? WebSocket)(options.url);
    } catch {
      return parts.closed(STAY_AWAY, 'NO_SOCKET');
    }
    const head = parts.head();
    socket.onopen = () => write({ type: 'authenticate', token, epoch: head?.epoch, offset: head?.offset });
    socket.onmessage = ({ data }) => receive(data, !!head);
    socket.onclose = ({ code, reason }) => close(code, reason);
    socket.onerror = () => {};
  }

  return {
    connect,
    close: stop,
    lose,
    send,
    /** The page is looked at again, or the network is back. */
    wake: (): void => (isWaiting ? comeBack(WINDOW) : ping()),
  };
}
