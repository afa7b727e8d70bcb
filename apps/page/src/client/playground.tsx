import { useState } from 'react';
import { Outcome } from './outcome.js';
import { SendForm } from './send-form.js';
import type { May } from './shapes.js';
import { UserForm } from './user-form.js';
import { UserInbox } from './user-inbox.js';

/** Sends something to somebody, and shows what becomes of it and how it arrives. */
export function Playground({ userId, onUser, may }: { userId: string; onUser: (userId: string) => void; may: May }) {
  const [sent, setSent] = useState<string>();
  return (
    <div className="playground">
      <section className="card" aria-labelledby="send">
        <h2 id="send">Send</h2>
        <UserForm userId={userId} onUser={onUser} />
        <SendForm userId={userId} onSent={setSent} may={may} />
      </section>
      <section className="card" aria-labelledby="outcome">
        <h2 id="outcome">What becomes of it</h2>
        {sent === undefined ? <p className="quiet">Nothing has been sent from here yet.</p> : <Outcome key={sent} id={sent} />}
      </section>
      <section className="card" aria-labelledby="inbox">
        <UserInbox key={userId} userId={userId} may={may} />
      </section>
    </div>
  );
}
