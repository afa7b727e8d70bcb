import {
  CarillonClientError,
  type Client,
  type ClientEvents,
  type ClientOptions,
  type ClientState,
  type InboxView,
  type Snapshot,
} from './client.js';
import { createLink, createTimer, SILENCE, type Standing } from './link.js';
import { effects, type MarkName } from './marks.js';
import type { Filter, Notification as Item } from './notification.js';
import { askPreferences } from './preferences.js';
import { createReplica, type List } from './replica.js';
import { createRequests, type Frame, type Request } from './requests.js';
import { createKeeper } from './storage.js';
import { isHidden, joinTabs, type Tabs } from './tabs.js';
import { createTokens, whoseToken } from './tokens.js';

/** What the tabs of one user post to each other. */
interface Message extends Partial<Standing> {
  /** Of any tab to the leader: where do you stand? */
  readonly hello?: boolean;
  /** Of any tab to the leader, for the server. */
  readonly send?: Request;
  /** Of a tab to the leader: somebody looked at us as a frame came. */
  readonly seen?: boolean;
  /** Of the leader, as all below: a frame of the server. */
  readonly frame?: Frame;
  readonly hidden?: boolean;
}

/** Milliseconds other tabs have to say that somebody looks at them. */
const SEEN_WITHIN = 300;
/** Milliseconds the tab that leads has to say where it stands. */
const LEADER_WITHIN = 4000;

/** A client of one user's inbox. It does nothing until `connect`. */
export function createClient(options: ClientOptions): Client {
  const tokens = createTokens(options);
  /** Listeners, each with what it hears of: an event, a list, or (without) the snapshot. */
  const listeners = new Set<readonly [keyof ClientEvents | List | undefined, (value: never) => void]>();
  let snapshot = {} as Snapshot;
  let state: ClientState = 'idle';
  let count = 0;
  let who: string | undefined;
  /** The other tabs; none if it has nothing to do with them. */
  let tabs: Tabs | undefined;
  let isLeading = false;
  /** Counts identities and ends: what belongs to an earlier one comes too late. */
  let turn = 0;
  /** Between `connect` and the end; ends the listening to the page. */
  let running: AbortController | undefined;
  /** When somebody looked at another tab as a frame came. */
  let seenAt = 0;

  const listen = (to: keyof ClientEvents | List | undefined, listener: (value: never) => void) => {
    const entry = [to, listener] as const;
    listeners.add(entry);
    return () => void listeners.delete(entry);
  };
  const emit = (to: keyof ClientEvents | List | undefined, value?: unknown) => {
    for (const [of, listener] of [...listeners]) {
      try {
        if (of === to) listener(value as never);
      } catch (error) {
        // Not ours, and no reason to lose a frame.
        console.error(error);
      }
    }
  };
  const fail = (error: CarillonClientError) => emit('error', error);
  const post = (message: Message) => tabs?.post(message);
  const tell = (standing: Standing) => post({ ...standing, hidden: isHidden() });
  const bear = createTimer();
  /** Asks the tab that leads where it stands. One that does not answer hangs, and leads no more. */
  const call = () => {
    post({ hello: true });
    bear(() => tabs?.seize(), LEADER_WITHIN);
  };

  const requests = createRequests((request) => (isLeading ? link.send(request) : post({ send: request })));
  const replica = createReplica(options, {
    ask: requests.ask,
    change: (lists, unreadCount) => {
      count = unreadCount;
      refresh();
      for (const list of lists) emit(list);
    },
    notification: arrived,
    lose: () => (isLeading ? link.lose() : call()),
    error: fail,
  });
  const { main } = replica;
  const keeper = createKeeper(options.storage, replica.keep);
  const link = createLink(options, tokens, {
    token: identify,
    head: replica.head,
    state: (standing) => {
      tell(standing);
      stand(standing);
    },
    hear: (frame) => {
      // Read from another log than the one this connection tells of: it is to begin anew.
      if (frame.requestId && frame.epoch && frame.epoch !== replica.head()?.epoch) return link.lose();
      if (requests.answer(frame)) return;
      post({ frame });
      hear(frame);
    },
    closed: (code, reason) => {
      end();
      emit('closed', { code, reason });
    },
  });

  function refresh(): void {
    const { notifications, hasMore, isLoaded } = main;
    const next: Snapshot = { state, notifications, unreadCount: count, hasMore, isLoaded };
    if (isLeading) keeper.save();
    const changed = (Object.keys(next) as (keyof Snapshot)[]).filter((name) => next[name] !== snapshot[name]);
    if (!changed[0]) return;
    snapshot = next;
    if (changed[0] === 'state') emit(changed.shift() as 'state', state);
    if (changed[0]) emit('change');
    emit(undefined);
  }

  function arrived(item: Item): void {
    emit('notification', item);
    if (!isLeading || !isHidden() || globalThis.Notification?.permission !== 'granted') return;
    const at = Date.now();
    const show = () => {
      try {
        const shown = isLeading && seenAt < at && options.desktop?.(item);
        if (shown) new Notification(shown.title, { ...shown, tag: item.id });
      } catch (error) {
        // Not ours, or a phone that shows them by service workers only.
        console.error(error);
      }
    };
    setTimeout(show, SEEN_WITHIN);
  }

  function hear(frame: Frame): void {
    if (frame.requestId) return;
    if (frame.type === 'error') fail(new CarillonClientError(frame.code, frame.error));
    else replica.hear(frame as never);
  }

  /** The connection has come or gone, here or in the tab that leads. */
  function stand({ state: now, head, comes }: Standing): void {
    const before = state;
    state = now;
    if (head) replica.greet(head, comes);
    // The leader may say it twice of one connection.
    if (now !== before || !head) requests.open(!!head);
    refresh();
  }

  function hearTab(message: Message): void {
    const { frame, state: now, hidden } = message;
    if (isLeading) {
      if (message.send) link.send(message.send);
      if (message.seen) seenAt = Date.now();
      if (message.hello) tell({ state, head: state === 'connected' ? replica.head() : undefined });
      return;
    }
    if (frame || now) bear(call, SILENCE);
    if (frame) {
      if (!isHidden()) post({ seen: true });
      requests.answer(frame) || hear(frame);
    }
    if (now) stand(message as Standing);
    // Timers of a tab in the background are slow.
    if (now === 'waiting' && hidden && !isHidden()) tabs?.seize();
  }

  /** The token to come with; if it is another user's, everything begins anew. */
  async function identify(): Promise<string | undefined> {
    const mine = turn;
    try {
      const token = await tokens.take();
      const is = whoseToken(token);
      if (token && (is !== who || !(tabs || isLeading)) && running && mine === turn) void become(is);
      return token;
    } catch {
      // What was thrown may hold what was sent for the token: it goes no further.
      fail(new CarillonClientError('NO_TOKEN'));
      return undefined;
    }
  }

  async function become(next: string): Promise<void> {
    leave();
    const mine = ++turn;
    const name = next && `carillon ${options.url} ${next}`;
    if (next !== who) {
      if (who !== undefined) {
        keeper.flush();
        requests.clear();
        replica.clear();
      }
      who = next;
      stand({ state: 'connecting' });
      const kept = await keeper.open(name && name + JSON.stringify(options.filter));
      if (mine !== turn) return;
      if (kept) replica.restore(kept);
    }
    tabs = joinTabs(
      options.share === false ? '' : name,
      () => {
        isLeading = true;
        bear();
        void link.connect();
      },
      () => void become(next),
      hearTab,
    );
    if (!isLeading) call();
  }

  function leave(): void {
    link.close();
    bear();
    isLeading = false;
    tabs?.close();
    tabs = undefined;
  }

  function end(): void {
    if (!running) return;
    turn++;
    keeper.flush();
    leave();
    running.abort();
    running = undefined;
    stand({ state: 'closed' });
    requests.clear();
  }

  const wake = () => (tabs && !isLeading ? call() : link.wake());
  const onPage = (target: EventTarget | undefined, event: string, listener: () => void) =>
    target?.addEventListener?.(event, listener, { signal: running!.signal });

  const marks = Object.fromEntries(
    Object.keys(effects).map((name) => [name, (ids: string | string[]) => replica.mark(name as MarkName, [ids].flat())]),
  );

  refresh();

  return {
    get snapshot() {
      return snapshot;
    },
    subscribe: (listener) => listen(undefined, listener),
    on: listen,
    connect() {
      if (running) return;
      stand({ state: 'connecting' });
      running = new AbortController();
      onPage(globalThis.document, 'visibilitychange', () => (isHidden() ? keeper.flush() : wake()));
      onPage(globalThis as never, 'online', wake);
      onPage(globalThis as never, 'offline', () => isLeading && link.lose());
      void link.connect();
    },
    close({ forget } = {}) {
      end();
      tokens.forget();
      if (forget) keeper.forget();
      replica.clear();
      who = undefined;
    },
    ...(marks as Pick<Client, Exclude<MarkName, 'markAllAsRead'>>),
    markAllAsRead: () => replica.mark('markAllAsRead'),
    loadMore: () => replica.loadMore(main),
    view(filter: Filter): InboxView {
      const list = replica.open(filter);
      return Object.assign(list, {
        loadMore: () => replica.loadMore(list),
        subscribe: (listener: () => void) => listen(list, listener),
        close: () => {
          replica.close(list);
          for (const entry of listeners) if (entry[0] === list) listeners.delete(entry);
        },
      });
    },
    preferences: () => askPreferences(options, tokens),
    setPreferences: (preferences) => askPreferences(options, tokens, preferences),
  };
}
