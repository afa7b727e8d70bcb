import type { Notification } from '@carillon/client';
import { type FocusEvent, useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from 'react';
import type { Drawing } from './drawing.js';
import { Item } from './item.js';
import { useLatest } from './latest.js';
import { createSeenWatch } from './seen.js';
import { type NotificationList, useActions } from './use-notifications.js';

/** Milliseconds between two looks at how long ago things were. */
const TICK = 30_000;
/** How far from the end of the list the next notifications are fetched. */
const NEAR = '240px';

interface ListProps extends Drawing {
  id: string;
  /** Id of the tab that shows it. */
  tab: string | undefined;
  list: NotificationList;
  focusPanel: () => void;
}

/** A list, from its newest notification to where it can be loaded on. */
export function List({ id, tab, list, focusPanel, ...drawing }: ListProps) {
  const { labels } = drawing;
  const { notifications, isLoaded, hasMore } = list;
  const now = useNow();
  const items = useKeptFocus(notifications, focusPanel);
  const actions = useActions();
  const watch = useMemo(() => createSeenWatch((ids) => void actions.markAsSeen(ids).catch(() => undefined)), [actions]);
  const { hasFailed, attempt } = useAttempts();
  return (
    // biome-ignore lint/a11y/useAriaPropsSupportedByRole: it has a label just when it has the role
    <div
      id={id}
      role={tab ? 'tabpanel' : undefined}
      aria-labelledby={tab}
      aria-busy={!isLoaded}
      className="carillon-list"
      tabIndex={notifications.length === 0 ? 0 : undefined}
    >
      {hasFailed && (
        <p role="alert" className="carillon-notice">
          {labels.failed}
        </p>
      )}
      {notifications.length === 0 && <p className="carillon-nothing">{isLoaded ? labels.empty : labels.loading}</p>}
      {/* biome-ignore lint/a11y/noRedundantRoles: Safari takes a list without bullets for none, unless told */}
      <ul ref={items.ref} role="list" onFocus={items.onFocus}>
        {notifications.map((notification) => (
          <Item
            key={notification.id}
            {...drawing}
            notification={notification}
            actions={actions}
            now={now}
            watch={watch}
            attempt={attempt}
          />
        ))}
      </ul>
      {hasMore && <LoadMore list={list} label={labels.loadMore} attempt={attempt} />}
    </div>
  );
}

interface LoadMoreProps {
  list: NotificationList;
  label: string;
  attempt: (action: Promise<void>) => void;
}

/** Loads more when pressed, and when the end of the list comes near. */
function LoadMore({ list, label, attempt }: LoadMoreProps) {
  const button = useRef<HTMLButtonElement>(null);
  const isLoading = useRef(false);
  const load = () => {
    if (isLoading.current) return;
    isLoading.current = true;
    attempt(
      list.loadMore().finally(() => {
        isLoading.current = false;
      }),
    );
  };
  const latest = useLatest(load);
  const { length } = list.notifications;
  // biome-ignore lint/correctness/useExhaustiveDependencies: the end of a longer list is looked for anew
  useEffect(() => {
    if (!button.current || typeof IntersectionObserver === 'undefined') return;
    const options = { root: button.current.parentElement, rootMargin: NEAR };
    const observer = new IntersectionObserver(([entry]) => entry?.isIntersecting && latest.current(), options);
    observer.observe(button.current);
    return () => observer.disconnect();
  }, [length]);
  return (
    <button ref={button} type="button" className="carillon-more" onClick={load}>
      {label}
    </button>
  );
}

/** Takes the promises of actions, and tells whether the last one failed. */
function useAttempts() {
  const [hasFailed, setFailed] = useState(false);
  const attempt = useCallback((action: Promise<void>) => {
    setFailed(false);
    action.catch(() => setFailed(true));
  }, []);
  return { hasFailed, attempt };
}

/** Keeps the focus in the list when what had it is gone: the one that took its place gets it, or the panel. */
function useKeptFocus(notifications: readonly Notification[], focusPanel: () => void) {
  const ref = useRef<HTMLUListElement>(null);
  const place = useRef<{ item: Element; at: number }>(undefined);
  // biome-ignore lint/correctness/useExhaustiveDependencies: looked at whenever the list is another
  useLayoutEffect(() => {
    const had = place.current;
    if (!had || had.item.isConnected || document.activeElement !== document.body) return;
    place.current = undefined;
    const { children } = ref.current ?? { children: [] };
    const next = children[Math.min(had.at, children.length - 1)]?.querySelector<HTMLElement>('a, button');
    if (next) next.focus();
    else focusPanel();
  }, [notifications]);
  const onFocus = ({ target }: FocusEvent) => {
    const item = target.closest('li');
    if (item) place.current = { item, at: [...(ref.current?.children ?? [])].indexOf(item) };
  };
  return { ref, onFocus };
}

/** The time, told again every half minute. */
function useNow(): number {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), TICK);
    return () => clearInterval(timer);
  }, []);
  return now;
}
