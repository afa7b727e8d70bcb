import { useEffect, useState } from 'react';
import { ask, toSentence } from './ask.js';
import { Deliveries } from './deliveries.js';
import { Mail } from './mail.js';
import type { NotificationRecord } from './shapes.js';
import { Status } from './status.js';
import { isKept, isOpen } from './words.js';

/** Milliseconds between the first two looks; each pause is half as long again as the one before. */
const FIRST_LOOK = 250;
/** Longest pause between two looks, ms. */
const LONGEST_PAUSE = 5_000;

/** What becomes of a notification on each channel, until nothing is open any more. */
export function Outcome({ id }: { id: string }) {
  const { record, trouble } = useRecord(id);
  if (!record) return trouble === undefined ? <p role="status">Queued.</p> : <p role="alert">{trouble}</p>;
  const kept = record.deliveries.find(({ channel, provider }) => channel === 'email' && isKept(provider));
  return (
    <>
      <p role="status">
        As a whole: <Status of={record.status} />
      </p>
      <Deliveries of={record} />
      {trouble !== undefined && <p role="alert">{trouble}</p>}
      {kept?.providerMessageId && <Mail id={kept.providerMessageId} />}
    </>
  );
}

function useRecord(id: string) {
  const [record, setRecord] = useState<NotificationRecord>();
  const [trouble, setTrouble] = useState<string>();
  useEffect(() => {
    const leaving = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const look = async (pause: number) => {
      let again = true;
      try {
        const now = await ask<NotificationRecord>('GET', `/v1/notifications/${id}`, undefined, leaving.signal);
        setRecord(now);
        setTrouble(undefined);
        again = now.deliveries.some(isOpen);
      } catch (error) {
        if (!leaving.signal.aborted) setTrouble(toSentence(error));
      }
      if (again && !leaving.signal.aborted) timer = setTimeout(look, pause, Math.min(LONGEST_PAUSE, pause * 1.5));
    };
    void look(FIRST_LOOK);
    return () => {
      leaving.abort();
      clearTimeout(timer);
    };
  }, [id]);
  return { record, trouble };
}
