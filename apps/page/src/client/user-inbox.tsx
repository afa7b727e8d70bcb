import type { ClientOptions, ClientState, Token } from '@carillon/client';
import { CarillonProvider, Inbox, useCarillon, useUnreadCount } from '@carillon/react';
import { useCallback, useEffect, useMemo, useRef, useState } from 'react';
import { ask, toSentence } from './ask.js';
import type { May } from './shapes.js';

/** What `POST /v1/tokens` answers. */
interface Issued {
  readonly token: string;
  /** ms since the epoch. */
  readonly expiresAt: number;
  readonly url: string;
}

/** The inbox of a user, as it would be in a product: live, by a token of that user. */
export function UserInbox({ userId, may }: { userId: string; may: May }) {
  const [url, setUrl] = useState<string>();
  const first = useRef<Issued>(undefined);
  const [trouble, setTrouble] = useState<string>();
  const allowed = may('send') && may('read');
  const issue = useCallback(() => ask<Issued>('POST', '/v1/tokens', { userId }), [userId]);
  useEffect(() => {
    if (!allowed) return;
    let left = false;
    issue().then(
      (issued) => {
        if (left) return;
        first.current = issued;
        setUrl(issued.url);
      },
      (error) => left || setTrouble(toSentence(error)),
    );
    return () => {
      left = true;
    };
  }, [allowed, issue]);
  const getToken = useCallback(async (): Promise<Token> => {
    // The answer that told the address has brought a token along.
    const token = first.current ?? (await issue());
    first.current = undefined;
    return token;
  }, [issue]);
  const options = useMemo(
    (): ClientOptions | undefined => (url === undefined ? undefined : { url, getToken, apiUrl: location.origin }),
    [url, getToken],
  );
  const problem = allowed ? trouble : 'A token for an inbox needs a key that may send and read.';
  return (
    <CarillonProvider options={options}>
      <div className="inbox-head">
        <h2 id="inbox">Inbox</h2>
        {options && <Inbox />}
      </div>
      {problem === undefined ? <Connection userId={userId} /> : <p role="alert">{problem}</p>}
      <p className="quiet">What is sent arrives here by itself, and every mark is made in every tab.</p>
    </CarillonProvider>
  );
}

const WORDS: Readonly<Record<ClientState, string>> = {
  idle: 'Not connected yet',
  connecting: 'Connecting',
  connected: 'Live',
  waiting: 'Not connected; comes back by itself',
  closed: 'Closed',
};

function Connection({ userId }: { userId: string }) {
  const { state } = useCarillon();
  const unread = useUnreadCount();
  return (
    <p data-state={state}>
      <span className={`dot dot-${state}`} /> {WORDS[state]}: <strong>{userId}</strong>, {unread} unread
    </p>
  );
}
