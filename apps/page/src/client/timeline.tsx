import { useCallback, useEffect, useId, useState } from 'react';
import { ask, toSentence } from './ask.js';
import { Deliveries } from './deliveries.js';
import type { NotificationRecord, Page } from './shapes.js';
import { Status } from './status.js';
import { UserForm } from './user-form.js';
import { meanings, timeOf } from './words.js';

/** One person's notifications and their deliveries: why did it not arrive? */
export function Timeline({ userId, onUser }: { userId: string; onUser: (userId: string) => void }) {
  const [status, setStatus] = useState('');
  const { records, hasMore, more, trouble, reload } = useRecords(userId);
  const shown = records?.filter(({ deliveries }) => status === '' || deliveries.some((one) => one.status === status));
  return (
    <section className="card" aria-labelledby="timeline">
      <h2 id="timeline">Why did it not arrive?</h2>
      <div className="row">
        <UserForm userId={userId} onUser={onUser} />
        <StatusChoice status={status} onChoose={setStatus} />
        <button type="button" onClick={reload}>
          Reload
        </button>
      </div>
      {trouble !== undefined && <p role="alert">{trouble}</p>}
      {shown && <p role="status">{countOf(shown.length, userId, hasMore)}</p>}
      <ol className="timeline">
        {shown?.map((record) => (
          <li key={record.id}>
            <h3>
              {record.templateId} <Status of={record.status} />
            </h3>
            <p className="quiet">
              {timeOf(record.createdAt)} · <code>{record.id}</code>
            </p>
            <Deliveries of={record} />
          </li>
        ))}
      </ol>
      {hasMore && (
        <button type="button" onClick={more}>
          Load older ones
        </button>
      )}
    </section>
  );
}

function countOf(count: number, userId: string, hasMore: boolean): string {
  const many = `${count} ${count === 1 ? 'notification' : 'notifications'} of ${userId}`;
  return hasMore ? `${many}; there are older ones` : many;
}

function StatusChoice({ status, onChoose }: { status: string; onChoose: (status: string) => void }) {
  const id = useId();
  return (
    <div className="field">
      <label htmlFor={id}>With a delivery that is</label>
      <select id={id} value={status} onChange={({ target }) => onChoose(target.value)}>
        <option value="">anything</option>
        {Object.keys(meanings).map((name) => (
          <option key={name}>{name}</option>
        ))}
      </select>
    </div>
  );
}

function useRecords(userId: string) {
  const [page, setPage] = useState<Page<NotificationRecord>>();
  const [trouble, setTrouble] = useState<string>();
  const [loads, setLoads] = useState(0);
  const read = useCallback(
    (cursor?: string, signal?: AbortSignal) => {
      const query = cursor === undefined ? '' : `&cursor=${encodeURIComponent(cursor)}`;
      return ask<Page<NotificationRecord>>('GET', `/v1/users/${encodeURIComponent(userId)}/deliveries?limit=20${query}`, undefined, signal);
    },
    [userId],
  );
  useEffect(() => {
    const leaving = new AbortController();
    setPage(undefined);
    setTrouble(undefined);
    read(undefined, leaving.signal).then(setPage, (error) => leaving.signal.aborted || setTrouble(toSentence(error)));
    return () => leaving.abort();
  }, [read, loads]);
  const more = () => {
    if (!page || page.nextCursor === null) return;
    read(page.nextCursor).then(
      // Not if another page was read in the meantime.
      (next) => setPage((now) => (now === page ? { data: [...page.data, ...next.data], nextCursor: next.nextCursor } : now)),
      (error) => setTrouble(toSentence(error)),
    );
  };
  return { records: page?.data, hasMore: page ? page.nextCursor !== null : false, more, trouble, reload: () => setLoads(loads + 1) };
}
