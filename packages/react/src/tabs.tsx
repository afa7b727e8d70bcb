import { type KeyboardEvent, useRef } from 'react';

interface TabsProps {
  /** Of the panel they show; a tab's own id is this and its place. */
  id: string;
  label: string;
  names: readonly string[];
  chosen: number;
  onChoose: (at: number) => void;
}

/** Tabs that are chosen as they get the focus (https://www.w3.org/WAI/ARIA/apg/patterns/tabs/). */
export function Tabs({ id, label, names, chosen, onChoose }: TabsProps) {
  const list = useRef<HTMLDivElement>(null);
  const onKeyDown = (event: KeyboardEvent<HTMLDivElement>) => {
    const forward = getComputedStyle(event.currentTarget).direction === 'rtl' ? 'ArrowLeft' : 'ArrowRight';
    const last = names.length - 1;
    const isArrow = event.key === 'ArrowLeft' || event.key === 'ArrowRight';
    const step = event.key === forward ? 1 : last;
    const at = isArrow ? (chosen + step) % names.length : event.key === 'Home' ? 0 : event.key === 'End' ? last : undefined;
    if (at === undefined) return;
    event.preventDefault();
    onChoose(at);
    (list.current?.children[at] as HTMLElement | undefined)?.focus();
  };
  return (
    <div ref={list} role="tablist" aria-label={label} className="carillon-tabs" onKeyDown={onKeyDown}>
      {names.map((name, at) => (
        <button
          key={name}
          type="button"
          role="tab"
          id={id + at}
          aria-controls={id}
          aria-selected={at === chosen}
          tabIndex={at === chosen ? 0 : -1}
          onClick={() => onChoose(at)}
        >
          {name}
        </button>
      ))}
    </div>
  );
}
