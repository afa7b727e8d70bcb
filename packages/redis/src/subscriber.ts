import { CarillonError } from '@carillon/contracts';
import { type Cluster, Command } from 'ioredis';
import { isPassing, type NodeOptions, redisError } from './connection.js';
import { type Line, type LineKind, openLine, type Pulse } from './line.js';

/**
 * Listens to pub/sub channels, on one connection per node. What is published while one of them is lost is missed, and `onGap` says so. Close it
 * when done.
 */
export interface Subscriber {
  /** Resolves when Redis has confirmed, however long that takes. @throws INTERNAL if it refuses, REDIS_UNAVAILABLE if ended before, or closed */
  subscribe(channel: string): Promise<void>;
  /** Nothing of the channel is heard any more, and Redis is told if it is there. */
  unsubscribe(channel: string): Promise<void>;
  onMessage(listener: (channel: string, message: string) => void): void;
  /** Called whenever messages may have been missed: subscriptions were lost and stand again. What is published from then on is heard. */
  onGap(listener: () => void): void;
  close(): Promise<void>;
}

/** Where channels live. */
export interface Ground {
  readonly kind: LineKind;
  /** The slot of a channel, which never changes. */
  slotOf(channel: string): number;
  /** The node of a slot; undefined while none is known. */
  nodeOf(slot: number): string | undefined;
  /** All nodes that have channels. */
  nodes(): ReadonlySet<string>;
  connectionTo(node: string): NodeOptions;
  /** Asks where channels live now. Resolves when that is known, or cannot be. */
  refresh(): Promise<void>;
  /** Calls the listener when channels may have moved; ended by the function returned. */
  onChange(listener: () => void): () => void;
}

/** Where one channel stands. */
interface Place {
  readonly channel: string;
  /** Kept: all places are looked at whenever channels may have moved, and working it out costs fifty times the rest of that. */
  readonly slot: number;
  /** The line that was asked for it; undefined while none is to be asked. */
  line: Line | undefined;
  /** Whether it stood once, so that its loss is a gap. */
  hasStood: boolean;
  waiting: { readonly resolve: () => void; readonly reject: (error: CarillonError) => void }[];
}

/** A dead connection is noticed within 20 s. No healthy Redis is silent for ten. */
export const PULSE: Pulse = { everyMs: 10_000, withinMs: 10_000 };
/** Pause before channels without a place are tried again, ms; doubled each time, since a fail-over takes seconds. */
const RETRY_MS = 250;
const RETRY_CEILING_MS = 2000;
/** Healed gaps are told at the latest after this, ms, though others are still open: one node may be away for long. */
const TELL_WITHIN_MS = 1000;

/**
 * Starts to listen. On a cluster nothing is connected before its first channel.
 *
 * @throws REDIS_UNAVAILABLE if a single Redis cannot be reached within 10 s
 */
export async function openSubscriber(ground: Ground, pulse: Pulse): Promise<Subscriber> {
  const lines = new Map<string, Line>();
  const places = new Map<string, Place>();
  const listeners: ((channel: string, message: string) => void)[] = [];
  const gaps = trackGaps();
  let retryMs = RETRY_MS;
  let retry: NodeJS.Timeout | undefined;
  let isClosed = false;

  function open(node: string): Line {
    const own = () => [...places.values()].filter((place) => place.line === line);
    const onItsPlace = (channel: string, act: (place: Place) => void) => {
      const place = places.get(channel);
      if (place?.line === line) act(place);
    };
    const events = {
      message: (channel: string, message: string) => {
        onItsPlace(channel, () => {
          for (const listener of listeners) listener(channel, message);
        });
      },
      stands: (channel: string) => onItsPlace(channel, stands),
      refused: (channel: string, error: Error) => onItsPlace(channel, (place) => refused(place, error)),
      down: () => {
        for (const { hasStood, channel } of own()) if (hasStood) gaps.open(channel);
        // Its node may be gone for good.
        lookAgain();
      },
      ended: () => own().forEach(lose),
    };
    const line = openLine(ground.connectionTo(node), ground.kind, events, pulse);
    lines.set(node, line);
    return line;
  }

  function stands(place: Place): void {
    retryMs = RETRY_MS;
    place.hasStood = true;
    for (const { resolve } of place.waiting.splice(0)) resolve();
    gaps.close(place.channel);
  }

  function refused(place: Place, error: Error): void {
    if (place.hasStood || isPassing(error)) {
      lose(place);
      return;
    }
    places.delete(place.channel);
    for (const { reject } of place.waiting) reject(redisError(error));
  }

  /** The channel is heard nowhere now. */
  function lose(place: Place): void {
    if (place.hasStood) gaps.open(place.channel);
    place.line = undefined;
    lookAgain();
  }

  function lookAgain(): void {
    retry ??= setTimeout(async () => {
      retryMs = Math.min(2 * retryMs, RETRY_CEILING_MS);
      await ground.refresh();
      retry = undefined;
      arrange();
    }, retryMs);
    retry.unref();
  }

  /** Puts a channel where it belongs now. */
  function put(place: Place): void {
    const node = ground.nodeOf(place.slot);
    if (node === undefined) {
      lookAgain();
      return;
    }
    const line = lines.get(node) ?? open(node);
    if (line === place.line) return;
    place.line?.drop(place.channel);
    if (place.hasStood) gaps.open(place.channel);
    place.line = line;
    line.add(place.channel);
  }

  function arrange(): void {
    for (const place of places.values()) put(place);
    const nodes = ground.nodes();
    for (const [node, line] of lines) {
      if (nodes.has(node)) continue;
      lines.delete(node);
      line.close();
    }
  }

  const stopWatching = ground.onChange(arrange);
  const end = (place: Place) => {
    for (const { reject } of place.waiting) reject(new CarillonError('REDIS_UNAVAILABLE'));
  };
  if (ground.kind === 'plain') await Promise.all([...ground.nodes()].map((node) => open(node).connect()));
  return {
    subscribe: (channel) =>
      new Promise<void>((resolve, reject) => {
        if (isClosed) throw new CarillonError('REDIS_UNAVAILABLE');
        const place = places.get(channel) ?? { channel, slot: ground.slotOf(channel), line: undefined, hasStood: false, waiting: [] };
        places.set(channel, place);
        place.waiting.push({ resolve, reject });
        // Asked again even if it stands, for the answer that it does.
        if (place.line) place.line.add(channel);
        else put(place);
      }),
    unsubscribe: async (channel) => {
      const place = places.get(channel);
      if (!place) return;
      places.delete(channel);
      place.line?.drop(channel);
      gaps.forget(channel);
      end(place);
    },
    onMessage: (listener) => void listeners.push(listener),
    onGap: gaps.onHealed,
    close: async () => {
      isClosed = true;
      stopWatching();
      clearTimeout(retry);
      gaps.stop();
      for (const line of lines.values()) line.close();
      for (const place of places.values()) end(place);
      places.clear();
      lines.clear();
    },
  };
}

/** Tells of gaps once they are healed: when the last channel stands again, or a while after the first if others take longer. */
function trackGaps() {
  const open = new Set<string>();
  const listeners: (() => void)[] = [];
  let timer: NodeJS.Timeout | undefined;
  const tell = () => {
    clearTimeout(timer);
    timer = undefined;
    for (const listener of listeners) listener();
  };
  return {
    open: (channel: string) => void open.add(channel),
    close: (channel: string) => {
      if (!open.delete(channel)) return;
      if (open.size === 0) tell();
      else timer ??= setTimeout(tell, TELL_WITHIN_MS).unref();
    },
    /** Nobody is to know of this channel's gap any more. */
    forget: (channel: string) => {
      if (open.delete(channel) && open.size === 0 && timer) tell();
    },
    onHealed: (listener: () => void) => void listeners.push(listener),
    stop: () => clearTimeout(timer),
  };
}

/** The ground of a cluster: each channel lives with the primary of its slot, as far as the client given knows. */
export function clusterGround(client: Cluster, options: NodeOptions): Ground {
  return {
    kind: 'sharded',
    slotOf: (channel) => new Command('ssubscribe', [channel]).getSlot(),
    nodeOf: (slot) => client.slots[slot]?.[0],
    nodes: () => new Set(client.slots.flatMap((nodes) => nodes[0] ?? [])),
    connectionTo: (node) => {
      const end = node.lastIndexOf(':');
      return { ...options, host: node.slice(0, end), port: Number(node.slice(end + 1)) };
    },
    refresh: () => new Promise((resolve) => client.refreshSlotsCache(() => resolve())),
    onChange: (listener) => {
      client.on('refresh', listener);
      return () => client.off('refresh', listener);
    },
  };
}

/** The ground of one Redis, which has all channels. */
export function singleGround(options: NodeOptions): Ground {
  const only = new Set(['']);
  return {
    kind: 'plain',
    slotOf: () => 0,
    nodeOf: () => '',
    nodes: () => only,
    connectionTo: () => options,
    refresh: async () => {},
    onChange: () => () => {},
  };
}
