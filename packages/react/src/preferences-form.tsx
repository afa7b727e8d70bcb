import type { Channel, Preferences } from '@carillon/client';
import type { Labels } from './labels.js';
import { useProvided, useSnapshot } from './provider.js';
import { usePreferences } from './use-preferences.js';

const CHANNELS: readonly Channel[] = ['in_app', 'email', 'push', 'sms'];

interface PreferencesFormProps {
  labels: Labels;
  categories: Readonly<Record<string, string>> | undefined;
}

/** What the user wants to hear of, kept as it is changed. */
export function PreferencesForm({ labels, categories }: PreferencesFormProps) {
  const { preferences, error, setPreferences } = usePreferences();
  const names = useCategories(preferences, categories);
  const isOff = preferences?.mute === true;
  const set = (change: Preferences) => {
    // What is refused is shown by `error`.
    setPreferences({ ...preferences, ...change }).catch(() => undefined);
  };
  return (
    <div className="carillon-list carillon-preferences" aria-busy={!preferences}>
      {error !== undefined && (
        <p role="alert" className="carillon-notice">
          {labels.failed}
        </p>
      )}
      {!preferences && error === undefined && <p className="carillon-nothing">{labels.loading}</p>}
      {preferences && (
        <>
          <Choice label={labels.mute} isChosen={isOff} onChoose={(mute) => set({ mute })} />
          <fieldset disabled={isOff}>
            <legend>{labels.channels}</legend>
            {CHANNELS.map((channel) => (
              <Choice
                key={channel}
                label={labels[channel]}
                isChosen={preferences.channels?.[channel] !== false}
                onChoose={(wanted) => set({ channels: { ...preferences.channels, [channel]: wanted } })}
              />
            ))}
          </fieldset>
          {names.length > 0 && (
            <fieldset disabled={isOff}>
              <legend>{labels.categories}</legend>
              {names.map((name) => (
                <Choice
                  key={name}
                  label={categories?.[name] ?? name}
                  isChosen={isWanted(preferences.categories?.[name])}
                  onChoose={(wanted) => set({ categories: { ...preferences.categories, [name]: wanted } })}
                />
              ))}
            </fieldset>
          )}
        </>
      )}
    </div>
  );
}

function Choice({ label, isChosen, onChoose }: { label: string; isChosen: boolean; onChoose: (isChosen: boolean) => void }) {
  return (
    <label>
      <input type="checkbox" checked={isChosen} onChange={({ target }) => onChoose(target.checked)} />
      {label}
    </label>
  );
}

/** Those named, those somebody has decided about, and those of the notifications at hand. */
function useCategories(preferences: Preferences | undefined, named: Readonly<Record<string, string>> | undefined): string[] {
  const { notifications } = useSnapshot(useProvided().client);
  const used = notifications.flatMap(({ category }) => category ?? []);
  return [...new Set([...Object.keys(named ?? {}), ...Object.keys(preferences?.categories ?? {}), ...used])].sort();
}

/** A category some of whose channels are off is still wanted. */
function isWanted(wish: boolean | { [channel in Channel]?: boolean } | undefined): boolean {
  if (typeof wish !== 'object') return wish !== false;
  return CHANNELS.some((channel) => wish[channel] !== false);
}
