import { useEffect, useState } from 'react';
import { ask } from './ask.js';
import type { KeptMessage } from './shapes.js';

/** A mail that was kept instead of being sent, as its reader would see it. Its HTML runs nothing and loads nothing: see the headers of its address. */
export function Mail({ id }: { id: string }) {
  const [content, setContent] = useState<KeptMessage['content']>();
  const path = `/preview/mail/${encodeURIComponent(id)}`;
  useEffect(() => {
    const leaving = new AbortController();
    // One that is not kept any more is not shown.
    ask<KeptMessage>('GET', path, undefined, leaving.signal).then(
      ({ content }) => setContent(content),
      () => undefined,
    );
    return () => leaving.abort();
  }, [path]);
  if (!content) return null;
  return (
    <section className="mail" aria-labelledby="mail">
      <h3 id="mail">The mail: {content.subject}</h3>
      {content.html === undefined ? <pre>{content.text}</pre> : <iframe sandbox="" src={`${path}/html`} title="The mail as it looks" />}
      <p>
        <a href={path}>All of it</a>
      </p>
    </section>
  );
}
