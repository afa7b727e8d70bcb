import { CarillonClientError, type Client, type Filter, type Notification } from '@carillon/client';
import { useEffect, useMemo, useState } from 'react';
import { useProvided, useSnapshot } from './provider.js';

/** Marks show at once, and are taken back if the server refuses them: the promise rejects then, with a `CarillonClientError`. */
export interface InboxActions {
  markAsRead(id: string): Promise<void>;
  markAsUnread(id: string): Promise<void>;
  markAsSeen(ids: readonly string[]): Promise<void>;
  archive(id: string): Promise<void>;
  unarchive(id: string): Promise<void>;
  delete(id: string): Promise<void>;
  markAllAsRead(): Promise<void>;
}

/** A part of the inbox, live, and what can be done to it. */
export interface NotificationList extends InboxActions {
  /** Newest first. */
  readonly notifications: readonly Notification[];
  readonly isLoaded: boolean;
  /** Whether older ones can be fetched by `loadMore`. */
  readonly hasMore: boolean;
  loadMore(): Promise<void>;
}

/** What a list shows; `of` tells which list, so that none shows what another one held. */
interface Shown extends Pick<NotificationList, 'notifications' | 'isLoaded' | 'hasMore' | 'loadMore'> {
  readonly client?: Client;
  readonly of?: string;
}
const EMPTY: Shown = { notifications: [], isLoaded: false, hasMore: false, loadMore: async () => undefined };

/** The client's own list, or another one narrowed by `filter`, which may be a new object each time. */
export function useNotifications(filter?: Filter): NotificationList {
  const { client } = useProvided();
  const snapshot = useSnapshot(client);
  const view = useView(client, filter);
  const actions = useActions();
  const { notifications, isLoaded, hasMore } = view ?? snapshot;
  return { ...actions, notifications, isLoaded, hasMore, ...(view && { loadMore: view.loadMore }) };
}

/** What can be done, the same functions as long as the client is the same. */
export function useActions(): Actions {
  const { client } = useProvided();
  return useMemo(() => actionsOf(client), [client]);
}

/** A list of its own, open while the component is; undefined without a filter. */
function useView(client: Client | undefined, filter: Filter | undefined): Shown | undefined {
  const [shown, setShown] = useState(EMPTY);
  const of = filter && JSON.stringify(filter);
  useEffect(() => {
    if (!client || !of) return;
    const view = client.view(JSON.parse(of) as Filter);
    const loadMore = () => view.loadMore();
    const show = () => {
      const { notifications, isLoaded, hasMore } = view;
      setShown({ client, of, notifications, isLoaded, hasMore, loadMore });
    };
    const end = view.subscribe(show);
    show();
    return () => {
      end();
      view.close();
      setShown(EMPTY);
    };
  }, [client, of]);
  if (!of) return undefined;
  return shown.client === client && shown.of === of ? shown : EMPTY;
}

const ACTIONS = ['markAsRead', 'markAsUnread', 'markAsSeen', 'archive', 'unarchive', 'delete', 'markAllAsRead', 'loadMore'] as const;
type Actions = Pick<Client, (typeof ACTIONS)[number]>;

function actionsOf(client: Client | undefined): Actions {
  const act = (name: keyof Actions) => (of: never) => (client ? client[name](of) : Promise.reject(new CarillonClientError('CLOSED')));
  return Object.fromEntries(ACTIONS.map((name) => [name, act(name)])) as unknown as Actions;
}
