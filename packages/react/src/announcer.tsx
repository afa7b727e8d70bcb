import type { Notification } from '@carillon/client';
import { useEffect, useState } from 'react';
import { counted, type Plural } from './labels.js';
import { useLatest } from './latest.js';
import { useProvided } from './provider.js';

/** Milliseconds in which notifications that come together are told of together. */
const GATHER = 500;
/** Milliseconds after which what was said is taken away, so that the same can be said again. */
const SAID = 5_000;

interface AnnouncerProps {
  text: Plural;
  locale: string | undefined;
  announce: ((notification: Notification) => string) | undefined;
}

/** Tells screen readers of what arrives, without interrupting them. */
export function Announcer({ text, locale, announce }: AnnouncerProps) {
  const { client } = useProvided();
  const [said, setSaid] = useState('');
  const say = useLatest((arrived: readonly Notification[]) =>
    announce ? arrived.map(announce).join(' ') : counted(text, arrived.length, locale),
  );
  useEffect(() => {
    if (!client) return;
    let arrived: Notification[] = [];
    let timer: ReturnType<typeof setTimeout> | undefined;
    const tell = () => {
      setSaid(say.current(arrived));
      arrived = [];
      timer = setTimeout(() => {
        timer = undefined;
        setSaid('');
      }, SAID);
    };
    const end = client.on('notification', (notification) => {
      if (arrived.push(notification) > 1) return;
      clearTimeout(timer);
      timer = setTimeout(tell, GATHER);
    });
    return () => {
      end();
      clearTimeout(timer);
    };
  }, [client, say]);
  return (
    <span role="status" className="carillon-hidden">
      {said}
    </span>
  );
}
