/** Milliseconds in view after which something was seen. */
const LOOK = 1_000;
/** Milliseconds between two checks; what became seen between them leaves in one request. */
const CHECK = 500;

/** Watches an element until the answer is called, or until it was seen. */
export type SeenWatch = (element: Element, id: string) => () => void;

/** Tells which ids were in view for a second of a page in view. */
export function createSeenWatch(seen: (ids: string[]) => void): SeenWatch {
  const ids = new Map<Element, string>();
  const since = new Map<Element, number>();
  let timer: ReturnType<typeof setInterval> | undefined;

  const check = () => {
    const now = Date.now();
    const done = [...since].filter(([, from]) => document.visibilityState === 'visible' && now - from >= LOOK).map(([element]) => element);
    const found = done.flatMap((element) => ids.get(element) ?? []);
    for (const element of done) since.delete(element);
    if (document.visibilityState !== 'visible') for (const element of since.keys()) since.set(element, now);
    if (found.length > 0) seen(found);
    if (since.size > 0) return;
    clearInterval(timer);
    timer = undefined;
  };
  // Where there is none (tests in a simulated page), nothing is in view.
  const observer =
    typeof IntersectionObserver === 'undefined'
      ? undefined
      : new IntersectionObserver(
          (entries) => {
            for (const { target, isIntersecting } of entries) {
              if (isIntersecting) since.set(target, Date.now());
              else since.delete(target);
            }
            timer ??= setInterval(check, CHECK);
          },
          { threshold: 0.5 },
        );
  return (element, id) => {
    ids.set(element, id);
    observer?.observe(element);
    return () => {
      observer?.unobserve(element);
      ids.delete(element);
      since.delete(element);
    };
  };
}
