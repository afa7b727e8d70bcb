/** What tabs tell each other. */
export interface Tabs {
  post(message: object): void;
  /** Takes the lead from a tab that is of no use. */
  seize(): void;
  close(): void;
}

export const isHidden = (): boolean => globalThis.document?.visibilityState === 'hidden';

/**
 * Joins the tabs of one name: one of them leads, and when it goes another one does. A tab leads alone where there is no name, or the browser
 * lacks locks (Web Locks API) or channels (BroadcastChannel); then it does so before this returns. `resign`: another has taken the lead, and this
 * tab has left. Nothing is answered where there is nobody to talk to.
 */
export function joinTabs(name: string, lead: () => void, resign: () => void, hear: (message: never) => void): Tabs | undefined {
  const locks = globalThis.navigator?.locks;
  if (!name || !locks || typeof BroadcastChannel === 'undefined') {
    lead();
    return undefined;
  }
  const channel = new BroadcastChannel(name);
  let release = () => {};
  let waiting: AbortController;
  const seek = (steal?: boolean) => {
    waiting = new AbortController();
    const { signal } = waiting;
    let isHeld = false;
    locks
      .request(name, steal ? { steal } : { signal }, () => {
        if (signal.aborted) return;
        isHeld = true;
        lead();
        return new Promise<void>((resolve) => {
          release = resolve;
        });
      })
      .catch(() => {
        // A page without an origin may not use locks.
        if (!signal.aborted) isHeld ? resign() : lead();
      });
  };
  channel.onmessage = ({ data }) => hear(data as never);
  seek();
  return {
    post: (message) => channel.postMessage(message),
    seize() {
      waiting.abort();
      seek(true);
    },
    close() {
      waiting.abort();
      release();
      channel.close();
    },
  };
}
