import { useEffect, useId, useState } from 'react';

/** Chooses whose notifications are shown. */
export function UserForm({ userId, onUser }: { userId: string; onUser: (userId: string) => void }) {
  const id = useId();
  const [typed, setTyped] = useState(userId);
  useEffect(() => setTyped(userId), [userId]);
  return (
    <form
      className="row"
      onSubmit={(event) => {
        event.preventDefault();
        if (typed.trim() !== '') onUser(typed.trim());
      }}
    >
      <div className="field">
        <label htmlFor={id}>User id</label>
        <input
          id={id}
          value={typed}
          onChange={({ target }) => setTyped(target.value)}
          maxLength={256}
          required
          spellCheck={false}
          autoComplete="off"
        />
      </div>
      <button type="submit">Show</button>
    </form>
  );
}
