import type { Client, Notification } from '@carillon/client';
import {
  type CSSProperties,
  type FocusEvent,
  type KeyboardEvent,
  type ReactNode,
  type RefObject,
  useEffect,
  useId,
  useMemo,
  useRef,
  useState,
} from 'react';
import { Announcer } from './announcer.js';
import type { Drawing } from './drawing.js';
import { Icon } from './icon.js';
import { counted, ENGLISH, type Labels } from './labels.js';
import { useLatest } from './latest.js';
import { type InboxTab, Panel } from './panel.js';
import { CarillonProvider, useProvided, useUnreadCount } from './provider.js';

/** The badge says no more than this and a plus. */
const MOST = 99;

export interface InboxProps extends Pick<Drawing, 'onNotificationClick' | 'renderNotification'> {
  /** The inbox shown; the provider's unless told. */
  readonly client?: Client | undefined;
  /** Lists to choose from; all, unread and archived unless told. */
  readonly tabs?: readonly InboxTab[] | undefined;
  /** Words that replace the English ones. */
  readonly labels?: Partial<Labels> | undefined;
  /** Language of times and numbers (BCP 47); the browser's unless told. */
  readonly locale?: string | undefined;
  /** Where the panel opens, seen from the bell; `bottom-end` unless told. */
  readonly placement?: 'bottom-end' | 'bottom-start' | 'top-end' | 'top-start' | undefined;
  /** Light or dark; what the page's `data-theme` or the system says unless told. */
  readonly theme?: 'light' | 'dark' | undefined;
  /** Values of the style sheet's variables, such as `{ '--carillon-accent': '#0a7' }`; they may be set in your own style sheet as well. */
  readonly appearance?: { readonly [variable in `--carillon-${string}`]?: string } | undefined;
  readonly className?: string | undefined;
  /** Whether the panel is open, if you decide it. */
  readonly open?: boolean | undefined;
  readonly onOpenChange?: ((open: boolean) => void) | undefined;
  readonly bellIcon?: ReactNode;
  /** Whether preferences can be opened; where the provider was given an `apiUrl` unless told. */
  readonly preferences?: boolean | undefined;
  /** Names of categories, by category; offered in the preferences besides those that are in use. */
  readonly categories?: Readonly<Record<string, string>> | undefined;
  /** What a screen reader says of a new notification. Unless told, how many there are and nothing of what they say: others may hear it. */
  readonly announce?: ((notification: Notification) => string) | undefined;
}

/** A bell with the count of unread notifications, and the inbox it opens. Needs the style sheet `@carillon/react/styles.css`. */
export function Inbox(props: InboxProps) {
  if (!props.client) return <Bell {...props} />;
  return (
    <CarillonProvider client={props.client}>
      <Bell {...props} />
    </CarillonProvider>
  );
}

function Bell({ labels: given, open, onOpenChange, ...props }: InboxProps) {
  const { locale, className, theme, appearance, placement = 'bottom-end' } = props;
  const { hasPreferences } = useProvided();
  const [isOpenHere, setOpenHere] = useState(false);
  const isOpen = open ?? isOpenHere;
  const id = useId();
  const labels = useMemo(() => ({ ...ENGLISH, ...given }), [given]);
  const setOpen = (to: boolean) => {
    setOpenHere(to);
    onOpenChange?.(to);
  };
  const { root, bell, onBlur } = useLeaving(isOpen, () => setOpen(false));
  const close = () => {
    bell.current?.focus();
    setOpen(false);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key !== 'Escape' || !isOpen) return;
    event.stopPropagation();
    close();
  };
  const { bellIcon, announce, tabs, categories, onNotificationClick, renderNotification } = props;
  const drawing = { labels, locale, onNotificationClick, renderNotification };
  const panel = { id, placement, tabs, categories, hasPreferences: props.preferences ?? hasPreferences, onClose: close };
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: Escape is heard wherever in the inbox the focus is
    <div
      ref={root}
      className={className ? `carillon ${className}` : 'carillon'}
      data-theme={theme}
      style={appearance as CSSProperties}
      onBlur={onBlur}
      onKeyDown={onKeyDown}
    >
      <BellButton
        button={bell}
        panel={isOpen ? id : undefined}
        icon={bellIcon}
        {...drawing}
        onPress={() => (isOpen ? close() : setOpen(true))}
      />
      <Announcer text={labels.arrived} locale={locale} announce={announce} />
      {isOpen && <Panel {...panel} {...drawing} />}
    </div>
  );
}

interface BellButtonProps extends Drawing {
  button: RefObject<HTMLButtonElement | null>;
  /** Id of the panel while it is open. */
  panel: string | undefined;
  icon: ReactNode;
  onPress: () => void;
}

function BellButton({ button, panel, icon, labels, locale, onPress }: BellButtonProps) {
  const count = useUnreadCount();
  return (
    <button
      ref={button as RefObject<HTMLButtonElement>}
      type="button"
      className="carillon-bell"
      aria-haspopup="dialog"
      aria-expanded={panel !== undefined}
      aria-controls={panel}
      aria-label={labels.notifications + (count > 0 ? `, ${counted(labels.unreadCount, count, locale)}` : '')}
      onClick={onPress}
    >
      {icon ?? <Icon of="bell" />}
      {count > 0 && (
        <span className="carillon-badge" aria-hidden="true">
          {Math.min(count, MOST).toLocaleString(locale) + (count > MOST ? '+' : '')}
        </span>
      )}
    </button>
  );
}

/** Calls `leave` when somebody presses or goes anywhere else. */
function useLeaving(isOpen: boolean, leave: () => void) {
  const root = useRef<HTMLDivElement>(null);
  const bell = useRef<HTMLButtonElement>(null);
  const latest = useLatest(leave);
  useEffect(() => {
    if (!isOpen) return;
    const onPointerDown = ({ target }: PointerEvent) => {
      if (!root.current?.contains(target as Node)) latest.current();
    };
    document.addEventListener('pointerdown', onPointerDown);
    return () => document.removeEventListener('pointerdown', onPointerDown);
  }, [isOpen, latest]);
  const onBlur = ({ relatedTarget }: FocusEvent) => {
    if (isOpen && relatedTarget && !root.current?.contains(relatedTarget)) leave();
  };
  return { root, bell, onBlur };
}
