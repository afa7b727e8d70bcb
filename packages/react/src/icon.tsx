/** Outlines on a square of 24. */
const OUTLINES = {
  bell: 'M6 10a6 6 0 0 1 12 0c0 5 2 6 2 7H4c0-1 2-2 2-7M10 20a2 2 0 0 0 4 0',
  check: 'M4 12l5 5L20 6',
  dot: 'M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8',
  box: 'M4 8v11h16V8M3 4h18v4H3zM10 12h4',
  unbox: 'M4 8v11h16V8M3 4h18v4H3zM12 17v-5m-2 2l2-2 2 2',
  bin: 'M5 7h14M10 7V4h4v3M7 7l1 13h8l1-13',
  sliders: 'M4 7h10M18 7h2M16 5v4M4 17h4M12 17h8M10 15v4',
  back: 'M15 5l-7 7 7 7',
  cross: 'M6 6l12 12M18 6L6 18',
};

/** A sign beside a name that tells the same. */
export function Icon({ of }: { of: keyof typeof OUTLINES }) {
  return (
    <svg className={`carillon-icon carillon-icon-${of}`} viewBox="0 0 24 24" aria-hidden="true">
      <path d={OUTLINES[of]} />
    </svg>
  );
}

/** A button that shows a sign only; `about` completes its name. */
export function IconButton(props: { of: keyof typeof OUTLINES; label: string; about?: string; isOff?: boolean; onPress: () => void }) {
  const { of, label, about, isOff, onPress } = props;
  return (
    <button
      type="button"
      className="carillon-icon-button"
      title={label}
      aria-label={about ? `${label}: ${about}` : label}
      // Not `disabled`: that would lose the focus of whoever just pressed it.
      aria-disabled={isOff || undefined}
      onClick={isOff ? undefined : onPress}
    >
      <Icon of={of} />
    </button>
  );
}
