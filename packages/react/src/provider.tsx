import { type Client, type ClientOptions, type ClientState, createClient, type Snapshot } from '@carillon/client';
import { createContext, type ReactNode, useCallback, useContext, useEffect, useMemo, useState, useSyncExternalStore } from 'react';
import { useLatest } from './latest.js';

/** What stands in while there is no client: on a server, before the first effect, and while nobody is signed in. */
export const NOTHING: Snapshot = { state: 'idle', notifications: [], unreadCount: 0, hasMore: false, isLoaded: false };

interface Provided {
  readonly client: Client | undefined;
  /** Whether the client was given the address of preferences. */
  readonly hasPreferences: boolean;
}
const Context = createContext<Provided>({ client: undefined, hasPreferences: false });

export interface CarillonProviderProps {
  /** A client of your own; you close it. */
  readonly client?: Client | undefined;
  /**
   * Or what to make one of, which lives as long as the provider; nothing while nobody is signed in. Another `url`, `apiUrl` or `token`
   * makes another client; where users change behind one `getToken`, give the provider the user's id as its `key`.
   */
  readonly options?: ClientOptions | undefined;
  readonly children?: ReactNode;
}

/** Gives one user's inbox to all that is inside. */
export function CarillonProvider({ client, options, children }: CarillonProviderProps) {
  const made = useMadeClient(client ? undefined : options);
  useEffect(() => {
    if (client?.snapshot.state === 'idle') client.connect();
  }, [client]);
  const hasPreferences = Boolean(!client && options?.apiUrl);
  const value = useMemo(() => ({ client: client ?? made, hasPreferences }), [client, made, hasPreferences]);
  return <Context.Provider value={value}>{children}</Context.Provider>;
}

/** A client made in an effect, so that a server makes none, and closed by the same effect, which strict mode runs twice. */
function useMadeClient(options: ClientOptions | undefined): Client | undefined {
  const [made, setMade] = useState<Client>();
  const latest = useLatest(options);
  const identity = options && JSON.stringify([options.url, options.apiUrl, options.token]);
  useEffect(() => {
    const given = identity ? latest.current : undefined;
    if (!given) return;
    const { getToken } = given;
    const client = createClient({ ...given, ...(getToken && { getToken: () => (latest.current?.getToken ?? getToken)() }) });
    client.connect();
    setMade(client);
    return () => {
      client.close();
      setMade(undefined);
    };
  }, [identity, latest]);
  return made;
}

/** What the provider provides. */
export function useProvided(): Provided {
  return useContext(Context);
}

/** Everything the client shows, live. */
export function useSnapshot(client: Client | undefined): Snapshot {
  const subscribe = useCallback((listener: () => void) => client?.subscribe(listener) ?? (() => undefined), [client]);
  return useSyncExternalStore(
    subscribe,
    () => client?.snapshot ?? NOTHING,
    () => NOTHING,
  );
}

/** The client of the provider (none on a server, and before it is made) and the state of its connection. */
export function useCarillon(): { readonly client: Client | undefined; readonly state: ClientState } {
  const { client } = useProvided();
  return { client, state: useSnapshot(client).state };
}

/** Unread notifications in the whole inbox. */
export function useUnreadCount(): number {
  return useSnapshot(useProvided().client).unreadCount;
}
