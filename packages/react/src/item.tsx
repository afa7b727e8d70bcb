import type { Notification } from '@carillon/client';
import { type MouseEvent, memo, useEffect, useRef } from 'react';
import type { Drawing } from './drawing.js';
import { IconButton } from './icon.js';
import { pageLink } from './link.js';
import type { SeenWatch } from './seen.js';
import { ago } from './time.js';
import type { InboxActions } from './use-notifications.js';

interface ItemProps extends Drawing {
  notification: Notification;
  actions: InboxActions;
  /** ms since the epoch */
  now: number;
  watch: SeenWatch;
  /** Tells of the action's failure. */
  attempt: (action: Promise<void>) => void;
}

/** One notification and what can be done to it; drawn again only if something of it is another, since lists may be long. */
export const Item = memo(({ notification, renderNotification, watch, ...props }: ItemProps) => {
  const { id, readAt, seenAt } = notification;
  const element = useRef<HTMLLIElement>(null);
  const isSeen = seenAt !== null;
  useEffect(() => (isSeen || !element.current ? undefined : watch(element.current, id)), [isSeen, watch, id]);
  return (
    <li ref={element} className="carillon-item" data-unread={readAt === null || undefined}>
      {renderNotification ? renderNotification(notification, props.actions) : <Content notification={notification} {...props} />}
    </li>
  );
});

function Content(props: Omit<ItemProps, 'renderNotification' | 'watch'>) {
  const { notification, actions, labels, attempt, onNotificationClick } = props;
  const { id, readAt, url } = notification;
  const href = pageLink(url);
  const onOpen = (event: MouseEvent) => {
    if (readAt === null) attempt(actions.markAsRead(id));
    onNotificationClick?.(notification, event);
  };
  const text = <Text {...props} />;
  return (
    <>
      {href ? (
        <a className="carillon-open" href={href} rel="noopener noreferrer" onClick={onOpen}>
          {text}
        </a>
      ) : (
        <button type="button" className="carillon-open" onClick={onOpen}>
          {text}
        </button>
      )}
      <Actions notification={notification} actions={actions} labels={labels} attempt={attempt} />
    </>
  );
}

function Text({ notification, labels, locale, now }: Pick<ItemProps, 'notification' | 'labels' | 'locale' | 'now'>) {
  const { title, body, createdAt, readAt } = notification;
  const time = new Date(createdAt);
  return (
    <>
      <span className="carillon-title" dir="auto">
        {title}
      </span>
      {readAt === null && <span className="carillon-hidden"> ({labels.unread})</span>}
      <span className="carillon-body" dir="auto">
        {body}
      </span>
      <time dateTime={time.toISOString()} title={time.toLocaleString(locale)}>
        {ago(createdAt, now, locale)}
      </time>
    </>
  );
}

function Actions({ notification, actions, labels, attempt }: Pick<ItemProps, 'notification' | 'actions' | 'labels' | 'attempt'>) {
  const { id, title, readAt, archivedAt } = notification;
  const action = (of: 'check' | 'dot' | 'box' | 'unbox' | 'bin', label: string, act: (id: string) => Promise<void>) => (
    <IconButton of={of} label={label} about={title} onPress={() => attempt(act(id))} />
  );
  return (
    <div className="carillon-actions">
      {readAt === null ? action('check', labels.markAsRead, actions.markAsRead) : action('dot', labels.markAsUnread, actions.markAsUnread)}
      {archivedAt === null ? action('box', labels.archive, actions.archive) : action('unbox', labels.unarchive, actions.unarchive)}
      {action('bin', labels.delete, actions.delete)}
    </div>
  );
}
