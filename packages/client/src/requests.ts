import { CarillonClientError } from './client.js';
import type { Notification } from './notification.js';

/** What is asked of the server. */
export interface Request {
  readonly type: string;
  readonly [field: string]: unknown;
}

/** A frame of the server, unread. */
export interface Frame {
  readonly type: string;
  readonly requestId?: string;
  // biome-ignore lint/suspicious/noExplicitAny: what a frame holds is known by its type, and trusted as the server's own
  readonly [field: string]: any;
}

/** A page, with the place in the log it was read at. */
export interface Page {
  readonly data: Notification[];
  readonly epoch: string;
  readonly offset: number;
  readonly unreadCount: number;
  readonly nextCursor?: string;
}

type Waiting = readonly [request: Request, resolve: (answer: never) => void, reject: (error: CarillonClientError) => void];

/** Marks that wait for a connection at most: above that somebody has been away for long, and should know. */
const MAX_WAITING = 100;
/** Requests under way at once: a gateway closes on a client that lets 100 wait, and tabs may share one connection. */
const MAX_UNDER_WAY = 8;

/**
 * Requests, each kept until it is answered: what a lost connection left unanswered is sent again, in order, since all of them come to the same if
 * they are done twice.
 */
export function createRequests(send: (request: Request) => void) {
  // Random, since the tabs that share a connection tell their answers by it.
  const mine = `${Math.random()} `;
  const waiting = new Map<string, Waiting>();
  let last = 0;
  /** Nothing before the beginning and after the end. */
  let isOpen: boolean | undefined;
  /** So many of the first are sent. */
  let underWay = 0;

  const work = () => {
    for (const [requestId, [request]] of isOpen ? [...waiting].slice(underWay, MAX_UNDER_WAY) : []) {
      underWay++;
      send({ ...request, requestId });
    }
  };

  return {
    /** @throws OFFLINE when too many wait, CLOSED when the client is closed first, or the server's code. */
    ask: <T>(request: Request): Promise<T> =>
      new Promise<T>((resolve, reject) => {
        if (isOpen === undefined) return reject(new CarillonClientError('CLOSED'));
        if (waiting.size >= MAX_WAITING && request.type !== 'getNotifications') return reject(new CarillonClientError('OFFLINE'));
        waiting.set(mine + ++last, [request, resolve, reject]);
        work();
      }),
    /** Takes a frame that answers one of them; false for any other. */
    answer(frame: Frame): boolean {
      const [, resolve, reject] = waiting.get(frame.requestId as string) ?? [];
      if (!waiting.delete(frame.requestId as string)) return false;
      underWay--;
      if (frame.type === 'error') reject?.(new CarillonClientError(frame.code, frame.error));
      else resolve?.(frame as never);
      work();
      return true;
    },
    /** There is a connection, a new one if `open` was called before; or none. */
    open(now: boolean): void {
      isOpen = now;
      underWay = 0;
      work();
    },
    clear(): void {
      isOpen = undefined;
      for (const [, , reject] of waiting.values()) reject(new CarillonClientError('CLOSED'));
      waiting.clear();
    },
  };
}
