import { type ReactNode, useCallback, useEffect, useState } from 'react';
import { ask, toSentence, whenSignedOut } from './ask.js';
import { Playground } from './playground.js';
import type { Scope, Session } from './shapes.js';
import { Timeline } from './timeline.js';

const AREAS = { playground: 'Playground', timeline: 'Timeline' } as const;
type Area = keyof typeof AREAS;
const areaOf = (hash: string): Area => (hash === '#timeline' ? 'timeline' : 'playground');

/** Where the person whose inbox is shown is remembered, for this tab. */
const USER = 'carillon-user';
const FIRST_USER = 'user-123';

export function App() {
  const [session, setSession] = useState<Session>();
  const [trouble, setTrouble] = useState<string>();
  useEffect(() => {
    whenSignedOut(() => setSession({ signedIn: false }));
    ask<Session>('GET', '/admin/session').then(setSession, (error) => setTrouble(toSentence(error)));
  }, []);
  if (trouble !== undefined) return <Frame>{<p role="alert">{trouble}</p>}</Frame>;
  if (!session) return <Frame>{<p role="status">Loading…</p>}</Frame>;
  return session.signedIn ? <SignedIn scopes={session.scopes ?? []} /> : <SignedOut />;
}

function SignedOut() {
  return (
    <Frame>
      <section className="card card-narrow" aria-labelledby="signed-out">
        <h1 id="signed-out">You are not signed in</h1>
        <p>
          <code>npm start</code> prints a link that opens this page once, signed in. Or sign in with an API key:
        </p>
        <p>
          <a className="button" href="/admin/login?to=/">
            Sign in
          </a>
        </p>
      </section>
    </Frame>
  );
}

function SignedIn({ scopes }: { scopes: readonly Scope[] }) {
  const area = useArea();
  const [userId, setUserId] = useUser();
  const may = useCallback((scope: Scope) => scopes.includes(scope), [scopes]);
  return (
    <Frame
      nav={
        <nav aria-label="Areas">
          <ul>
            {Object.entries(AREAS).map(([id, name]) => (
              <li key={id}>
                <a href={`#${id}`} aria-current={id === area ? 'page' : undefined}>
                  {name}
                </a>
              </li>
            ))}
          </ul>
        </nav>
      }
    >
      <h1 className="for-screen-readers">{AREAS[area]}</h1>
      {area === 'playground' ? (
        <Playground userId={userId} onUser={setUserId} may={may} />
      ) : (
        <Timeline userId={userId} onUser={setUserId} />
      )}
    </Frame>
  );
}

function Frame({ nav, children }: { nav?: ReactNode; children: ReactNode }) {
  return (
    <>
      <header>
        <a className="brand" href="/">
          Carillon
        </a>
        {nav}
        {nav && <Places />}
      </header>
      <main>{children}</main>
    </>
  );
}

const PLACES = { Queues: '/admin/queues', Previews: '/preview/mail', Metrics: '/metrics', API: '/docs' } as const;

function Places() {
  return (
    <nav aria-label="Elsewhere" className="places">
      <ul>
        {Object.entries(PLACES).map(([name, href]) => (
          <li key={href}>
            <a href={href}>{name}</a>
          </li>
        ))}
        <li>
          <form method="post" action="/admin/logout">
            <button type="submit" className="button-plain">
              Sign out
            </button>
          </form>
        </li>
      </ul>
    </nav>
  );
}

function useArea(): Area {
  const [area, setArea] = useState(() => areaOf(location.hash));
  useEffect(() => {
    const onChange = () => setArea(areaOf(location.hash));
    addEventListener('hashchange', onChange);
    return () => removeEventListener('hashchange', onChange);
  }, []);
  return area;
}

function useUser(): [string, (userId: string) => void] {
  const [userId, setUserId] = useState(() => sessionStorage.getItem(USER) ?? FIRST_USER);
  const choose = useCallback((chosen: string) => {
    sessionStorage.setItem(USER, chosen);
    setUserId(chosen);
  }, []);
  return [userId, choose];
}
