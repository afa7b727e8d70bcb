import type { IncomingMessage } from 'node:http';
import { createRate, networkOf, type Rate } from '@carillon/access';
import type { Quota, TrustProxy } from '@carillon/service';
import proxyAddress from 'proxy-addr';

/** Who may open a socket here, before anybody has proved anything. */
export interface AdmissionOptions {
  /** Sockets of one network that may be open without having authenticated. */
  readonly connectionsPerAddress: number;
  /** Sockets one network may open. */
  readonly rateConnections: Quota;
  /** Sockets all may open. */
  readonly rateHandshakes: Quota;
  /** Origins of pages that may open sockets; any if absent. A program that sends no origin may always. */
  readonly allowedOrigins?: readonly string[] | undefined;
  /** Whose `X-Forwarded-For` is believed. */
  readonly trustProxy?: TrustProxy | undefined;
}

/** Wrong tokens one network is told of as such in a minute; a client that comes back with a bad one all the time stays far below. */
const GUESSES: Quota = { count: 600, window: 60_000 };

/** A place in the line of those who have not authenticated. Each method may be called more than once. */
export interface Entry {
  /** The client has proved who it is, or is gone. */
  leave(): void;
  /** Its token was wrong. Answers how long its network should stay away, ms, if that was one of too many. */
  guessed(): Promise<number | undefined>;
}

/** Why a handshake is refused: the status of the answer (RFC 9110) and, if coming back helps, after how many ms. */
export interface Refusal {
  readonly status: 403 | 429 | 503;
  readonly retryAfter?: number;
}

/** A class and not closures: an open socket keeps it. */
class Place implements Entry {
  readonly #network: string;
  readonly #waiting: Map<string, number>;
  readonly #guesses: Rate;
  #isWaiting = true;

  constructor(network: string, waiting: Map<string, number>, guesses: Rate) {
    this.#network = network;
    this.#waiting = waiting;
    this.#guesses = guesses;
    waiting.set(network, (waiting.get(network) ?? 0) + 1);
  }

  leave(): void {
    if (!this.#isWaiting) return;
    this.#isWaiting = false;
    const left = (this.#waiting.get(this.#network) ?? 1) - 1;
    if (left > 0) this.#waiting.set(this.#network, left);
    else this.#waiting.delete(this.#network);
  }

  async guessed(): Promise<number | undefined> {
    const turn = await this.#guesses.take(this.#network);
    return turn.ok ? undefined : turn.retryAfter;
  }
}

/** Takes a handshake, or refuses it. */
export type Admit = (request: IncomingMessage) => Promise<Entry | Refusal>;

/** Who came by another server than ours is nobody's guest: no network is known of it, and nothing limited. */
export const uncounted: Entry = { leave() {}, guessed: async () => undefined };

/**
 * Counts sockets per network (an IPv4 address, or the /64 of an IPv6 one) in this process's memory. What costs least is asked first, and who is
 * refused for what it did itself takes nothing from what all share.
 */
export function createAdmission(options: AdmissionOptions, metrics: { handshakeRefused(reason: string): void }): Admit {
  const perNetwork = createRate(options.rateConnections);
  const forAll = createRate(options.rateHandshakes);
  const guesses = createRate(GUESSES);
  const waiting = new Map<string, number>();
  const addressOf = addressReader(options.trustProxy);
  const origins = options.allowedOrigins && new Set(options.allowedOrigins);

  const refuse = (reason: string, refusal: Refusal): Refusal => {
    metrics.handshakeRefused(reason);
    return refusal;
  };
  return async (request) => {
    const { origin } = request.headers;
    if (origins && origin !== undefined && !origins.has(origin)) return refuse('origin', { status: 403 });
    const network = networkOf(addressOf(request));
    if ((waiting.get(network) ?? 0) >= options.connectionsPerAddress) {
      return refuse('waiting', { status: 429, retryAfter: RETRY_UNPROVED_MS });
    }
    // Held from here on: whatever is asked below may take its time, and others come meanwhile.
    const entry = new Place(network, waiting, guesses);
    const own = await perNetwork.take(network);
    const all = own.ok ? await forAll.take('all') : own;
    if (own.ok && all.ok) return entry;
    entry.leave();
    if (!own.ok) return refuse('network', { status: 429, retryAfter: own.retryAfter });
    return refuse('handshakes', { status: 503, retryAfter: all.ok ? 0 : all.retryAfter });
  };
}

/** Milliseconds after which a place of those who have not authenticated is free again, at the latest: they have ten seconds. */
const RETRY_UNPROVED_MS = 10_000;

/** Reads where a request comes from: the nearest address that is not one of a proxy we trust. */
function addressReader(trustProxy: TrustProxy | undefined): (request: IncomingMessage) => string {
  const direct = (request: IncomingMessage) => request.socket.remoteAddress ?? '';
  if (trustProxy === undefined || trustProxy === false || trustProxy === 0) return direct;
  const trust = trustOf(trustProxy);
  return (request) => proxyAddress(request, trust) || direct(request);
}

function trustOf(trustProxy: Exclude<TrustProxy, false>): (address: string, hop: number) => boolean {
  if (trustProxy === true) return () => true;
  if (typeof trustProxy === 'number') return (_address, hop) => hop < trustProxy;
  return proxyAddress.compile([...trustProxy]);
}
