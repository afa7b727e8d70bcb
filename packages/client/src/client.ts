import type { Filter, Notification, Preferences } from './notification.js';

/** A client token, and when it expires (ms since the epoch) if that is known. */
export type Token = string | { readonly token: string; readonly expiresAt?: number };

/** Keeps a little text between visits. `localStorage` is one, and so is anything like React Native's AsyncStorage. */
export interface ClientStorage {
  getItem(key: string): string | null | Promise<string | null>;
  setItem(key: string, value: string): void | Promise<void>;
  removeItem(key: string): void | Promise<void>;
}

export interface ClientOptions {
  /** Address of the gateway, `wss://…`; as `POST /v1/tokens` answers. */
  readonly url: string;
  /** A token for as long as it lives, or what fetches one: asked at each connect that needs a new one and a minute before one expires. */
  readonly token?: string;
  readonly getToken?: () => Token | Promise<Token>;
  /** Address of the HTTP interface, `https://…`, for preferences. */
  readonly apiUrl?: string;
  /** The part of the inbox that is kept in `notifications`; all of it unless told. */
  readonly filter?: Filter;
  /** Notifications fetched at once, 1–100; 50 unless told. */
  readonly pageSize?: number;
  /** Where the list is kept between visits; nowhere unless told, since notifications may be of somebody's health. */
  readonly storage?: ClientStorage;
  /** Whether tabs of one browser share one connection (where the browser can; else each has its own). True unless told. */
  readonly share?: boolean;
  /** Shows new notifications on the desktop while no tab of the page is in view; nothing unless told, and nothing without the permission. */
  readonly desktop?: (notification: Notification) => { readonly title: string; readonly body?: string } | undefined;
  /** The WebSocket to use where there is none of this name. */
  readonly WebSocket?: typeof WebSocket;
}

/** `closed`: by `close()`, or for good by the server (see the `closed` event). */
export type ClientState = 'idle' | 'connecting' | 'connected' | 'waiting' | 'closed';

/** What may be heard. */
export interface ClientEvents {
  /** The state has changed. */
  state: ClientState;
  /** A notification is new: each once, in order, also those that came while away, never those of a first list. */
  notification: Notification;
  /** The list or the count has changed; read `notifications` and `unreadCount`. */
  change: undefined;
  /** The server closed for good (its code is 3500 or above), or there is no token (`NO_TOKEN`) or no way to open a socket (`NO_SOCKET`). */
  closed: { readonly code: number; readonly reason: string };
  /** Something failed that is tried again, or a request that nobody awaited. */
  error: CarillonClientError;
}

/** A failure with the service's code (docs/errors.md), or one of `OFFLINE`, `CLOSED`, `NO_TOKEN`, `NO_API_URL`. */
export class CarillonClientError extends Error {
  override readonly name = 'CarillonClientError';
  readonly code: string;

  constructor(code: string, message: string = code) {
    super(message);
    this.code = code;
  }
}

/** What React and others read. A new object whenever something in it has changed, and only then. */
export interface Snapshot {
  readonly state: ClientState;
  /** Newest first, by creation time, then id; those of `filter`. */
  readonly notifications: readonly Notification[];
  readonly unreadCount: number;
  /** Whether older ones can be fetched by `loadMore`. */
  readonly hasMore: boolean;
  /** Whether the list was fetched, or taken from the storage. */
  readonly isLoaded: boolean;
}

/** A list narrowed in its own way, live like the client's own. */
export interface InboxView {
  readonly notifications: readonly Notification[];
  readonly hasMore: boolean;
  readonly isLoaded: boolean;
  loadMore(): Promise<void>;
  /** Hears of changes; the answer ends it. */
  subscribe(listener: () => void): () => void;
  close(): void;
}

/** One user's inbox, live. Marks show at once, and are taken back if the server refuses them: the promise rejects then. */
export interface Client {
  readonly snapshot: Snapshot;
  /** Hears of every new `snapshot`; the answer ends it. */
  subscribe(listener: () => void): () => void;
  on<E extends keyof ClientEvents>(event: E, listener: (value: ClientEvents[E]) => void): () => void;
  /** Connects, and comes back by itself until `close`. */
  connect(): void;
  /** Ends the connection and empties the list; nothing of the user is left in this page. With `forget`, nor in the storage. */
  close(options?: { forget?: boolean }): void;
  markAsRead(id: string): Promise<void>;
  markAsUnread(id: string): Promise<void>;
  /** Many at once, as they come into view. */
  markAsSeen(ids: readonly string[]): Promise<void>;
  archive(id: string): Promise<void>;
  unarchive(id: string): Promise<void>;
  delete(id: string): Promise<void>;
  markAllAsRead(): Promise<void>;
  /** Fetches older notifications into the list. */
  loadMore(): Promise<void>;
  /** Another list, narrowed by `filter`. Close it when done. */
  view(filter: Filter): InboxView;
  /** Needs `apiUrl`: rejects with `NO_API_URL` without. */
  preferences(): Promise<Preferences>;
  /** Replaces them. Needs `apiUrl`. */
  setPreferences(preferences: Preferences): Promise<Preferences>;
}
