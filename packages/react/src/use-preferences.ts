import { CarillonClientError, type Preferences } from '@carillon/client';
import { useCallback, useEffect, useRef, useState } from 'react';
import { useProvided } from './provider.js';

export interface PreferencesState {
  /** What the user wants; undefined until it is known. */
  readonly preferences: Preferences | undefined;
  readonly isLoading: boolean;
  /** Why they could not be read or kept, until the next try; mostly a `CarillonClientError`. */
  readonly error: unknown;
  /** Replaces them: shown at once, and taken back if the server refuses; the promise rejects then. */
  setPreferences(preferences: Preferences): Promise<void>;
}

type Known = Omit<PreferencesState, 'setPreferences'>;
const UNKNOWN: Known = { preferences: undefined, isLoading: true, error: undefined };

/** What the user wants to hear of, and how. The client needs an `apiUrl`. */
export function usePreferences(): PreferencesState {
  const { client } = useProvided();
  const [known, setKnown] = useState(UNKNOWN);
  /** What the server said last, and what was asked of it last. */
  const server = useRef<{ preferences: Preferences | undefined; last: Promise<unknown> }>({
    preferences: undefined,
    last: Promise.resolve(),
  });

  useEffect(() => {
    if (!client) return;
    const asked = { preferences: undefined as Preferences | undefined, last: Promise.resolve() as Promise<unknown> };
    server.current = asked;
    setKnown(UNKNOWN);
    const answered = client.preferences();
    asked.last = answered;
    const show = (more: Partial<Known>) =>
      server.current === asked && asked.last === answered && setKnown({ ...UNKNOWN, isLoading: false, ...more });
    answered.then(
      (preferences) => {
        asked.preferences = preferences;
        show({ preferences });
      },
      (error) => show({ error }),
    );
  }, [client]);

  const setPreferences = useCallback(
    async (preferences: Preferences) => {
      if (!client) throw new CarillonClientError('CLOSED');
      const asked = server.current;
      // One after the other: of two replacements under way, the network might let the older one win.
      const saved = asked.last.then(
        () => client.setPreferences(preferences),
        () => client.setPreferences(preferences),
      );
      asked.last = saved;
      setKnown({ preferences, isLoading: false, error: undefined });
      const show = (error?: unknown) =>
        server.current === asked && asked.last === saved && setKnown({ preferences: asked.preferences, isLoading: false, error });
      try {
        asked.preferences = await saved;
        show();
      } catch (error) {
        show(error);
        throw error;
      }
    },
    [client],
  );
  return { ...known, setPreferences };
}
