import type { Filter } from '@carillon/client';
import { useEffect, useId, useRef, useState } from 'react';
import type { Drawing } from './drawing.js';
import { IconButton } from './icon.js';
import type { Labels } from './labels.js';
import { List } from './list.js';
import { PreferencesForm } from './preferences-form.js';
import { useCarillon, useUnreadCount } from './provider.js';
import { Tabs } from './tabs.js';
import { useNotifications } from './use-notifications.js';

/** A list to choose, and what it is narrowed to. */
export interface InboxTab {
  readonly label: string;
  readonly filter: Filter;
}

export interface PanelProps extends Drawing {
  readonly id: string;
  readonly placement: string;
  readonly tabs: readonly InboxTab[] | undefined;
  readonly categories: Readonly<Record<string, string>> | undefined;
  readonly hasPreferences: boolean;
  readonly onClose: () => void;
}

/** What the bell opens: a dialog beside which the page stays usable. */
export function Panel({ id, placement, labels, hasPreferences, categories, onClose, ...props }: PanelProps) {
  const [isInPreferences, setInPreferences] = useState(false);
  const panel = useRef<HTMLDivElement>(null);
  const title = useId();
  const { state } = useCarillon();
  const focus = () => panel.current?.focus();
  useEffect(focus, []);
  return (
    <div ref={panel} id={id} className="carillon-panel" data-placement={placement} role="dialog" aria-labelledby={title} tabIndex={-1}>
      <div className="carillon-header">
        {isInPreferences && (
          <IconButton
            of="back"
            label={labels.back}
            onPress={() => {
              focus();
              setInPreferences(false);
            }}
          />
        )}
        <h2 id={title}>{isInPreferences ? labels.preferences : labels.notifications}</h2>
        {!isInPreferences && <MarkAll labels={labels} />}
        {hasPreferences && !isInPreferences && (
          <IconButton
            of="sliders"
            label={labels.preferences}
            onPress={() => {
              focus();
              setInPreferences(true);
            }}
          />
        )}
        <IconButton of="cross" label={labels.close} onPress={onClose} />
      </div>
      {(state === 'waiting' || state === 'closed') && (
        <p className="carillon-notice">{state === 'closed' ? labels.ended : labels.offline}</p>
      )}
      {isInPreferences ? (
        <PreferencesForm labels={labels} categories={categories} />
      ) : (
        <Lists labels={labels} focusPanel={focus} {...props} />
      )}
    </div>
  );
}

function MarkAll({ labels }: { labels: Labels }) {
  const { client } = useCarillon();
  const isOff = useUnreadCount() === 0;
  // What is refused is taken back, and so can be seen.
  return (
    <IconButton of="check" label={labels.markAllAsRead} isOff={isOff} onPress={() => void client?.markAllAsRead().catch(() => undefined)} />
  );
}

type ListsProps = Pick<PanelProps, 'labels' | 'locale' | 'tabs' | 'onNotificationClick' | 'renderNotification'> & {
  focusPanel: () => void;
};

/** The tabs, and the list of the chosen one. */
function Lists({ tabs: given, ...props }: ListsProps) {
  const { labels } = props;
  const id = useId();
  const tabs = given ?? [
    { label: labels.all, filter: { archived: false } },
    { label: labels.unread, filter: { unread: true, archived: false } },
    { label: labels.archived, filter: { archived: true } },
  ];
  const [chosen, setChosen] = useState(0);
  const at = Math.min(chosen, tabs.length - 1);
  const list = useNotifications(tabs[at]?.filter ?? {});
  return (
    <>
      {tabs.length > 1 && (
        <Tabs id={id} label={labels.notifications} names={tabs.map(({ label }) => label)} chosen={at} onChoose={setChosen} />
      )}
      <List key={at} id={id} tab={tabs.length > 1 ? `${id}${at}` : undefined} list={list} {...props} />
    </>
  );
}
