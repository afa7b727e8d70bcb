import { Redis as Single } from 'ioredis';
import { connect, type NodeOptions, replyCode } from './connection.js';

/** What a line tells. */
export interface LineEvents {
  message(channel: string, message: string): void;
  /** Redis has confirmed a channel: from now on nothing of it is missed. */
  stands(channel: string): void;
  /** Redis has answered that it does not let this channel be heard here. The line forgets it. */
  refused(channel: string, error: Error): void;
  /** The connection is lost. It is tried again, and every channel with it. */
  down(): void;
  /** Redis has ended subscriptions by itself, as it does when their slot leaves the node; which ones is unknown. The line forgets all. */
  ended(): void;
}

/** How a silent death is noticed: a ping goes out every `everyMs`, and a connection that gives no sign for `withinMs` after it is renewed. */
export interface Pulse {
  readonly everyMs: number;
  readonly withinMs: number;
}

/** Some channels of one node, on a connection of its own that comes back by itself and subscribes all of them anew. */
export interface Line {
  /** Resolves when the connection stands. @throws REDIS_UNAVAILABLE after 10 s; the line is closed then */
  connect(): Promise<void>;
  /** Asks for a channel, again if it is there already; `stands` or `refused` tells, once the connection is there. */
  add(channel: string): void;
  drop(channel: string): void;
  close(): void;
}

/** Cluster nodes know their channels by slot (SSUBSCRIBE), a single Redis knows none (SUBSCRIBE). */
export type LineKind = 'sharded' | 'plain';

/**
 * Opens a line. Only the connection is left to the library: what it does about subscriptions after a loss differs between kinds of client, and
 * none tells when they stand again.
 */
export function openLine(options: NodeOptions, kind: LineKind, events: LineEvents, pulse: Pulse): Line {
  const connection = new Single({
    ...options,
    lazyConnect: true,
    // Listening is allowed while Redis loads its data, and what comes afterwards is to be heard.
    enableReadyCheck: false,
    enableOfflineQueue: false,
    autoResubscribe: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: null,
    socketTimeout: pulse.withinMs,
  });
  /** Each channel with a mark of the last time it was asked for: an answer to an earlier one says nothing. */
  const channels = new Map<string, symbol>();
  const ask = (channel: string, mark: symbol) => {
    if (connection.status !== 'ready') return;
    const isCurrent = () => channels.get(channel) === mark;
    const refused = (error: Error) => {
      if (replyCode(error) === 'MOVED') unexplained--;
      // Without a reply the connection is gone, and the next one asks anew.
      if (replyCode(error) === undefined || !isCurrent()) return;
      channels.delete(channel);
      events.refused(channel, error);
    };
    const asked = kind === 'sharded' ? connection.ssubscribe(channel) : connection.subscribe(channel);
    asked.then(() => isCurrent() && events.stands(channel), refused);
  };

  /** Signs of channels that moved away, without those that were answers to a question: what is left are subscriptions that Redis ended. */
  let unexplained = 0;
  const judge = () => {
    const isUnexplained = unexplained > 0;
    unexplained = 0;
    if (!isUnexplained) return;
    channels.clear();
    events.ended();
  };
  connection.on('moved', () => {
    // Answers to questions are taken off before.
    if (unexplained++ === 0) setImmediate(judge);
  });
  connection.on(kind === 'sharded' ? 'smessage' : 'message', events.message);
  connection.on('ready', () => {
    for (const [channel, mark] of channels) ask(channel, mark);
  });
  connection.on('close', events.down);
  // Told by `close` as well.
  connection.on('error', () => {});
  const pulsing = setInterval(() => {
    if (connection.status === 'ready') connection.ping().catch(() => {});
  }, pulse.everyMs).unref();
  const close = () => {
    clearInterval(pulsing);
    connection.removeAllListeners('close').disconnect();
  };
  return {
    connect: () =>
      connect(connection).catch((error) => {
        close();
        throw error;
      }),
    add: (channel) => {
      if (connection.status === 'wait') connection.connect().catch(() => {});
      const mark = Symbol();
      channels.set(channel, mark);
      ask(channel, mark);
    },
    drop: (channel) => {
      if (!channels.delete(channel) || connection.status !== 'ready') return;
      (kind === 'sharded' ? connection.sunsubscribe(channel) : connection.unsubscribe(channel)).catch(() => {});
    },
    close,
  };
}
