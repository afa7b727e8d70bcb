import { useId } from 'react';
import type { Input } from './fields.js';

const TYPES = { text: 'text', datetime: 'datetime-local', number: 'number', url: 'url' } as const;

/** The input of one field, by its type. */
export function FieldInput({ input, value, onChange }: { input: Input; value: string; onChange: (value: string) => void }) {
  const id = useId();
  return (
    <div className="field">
      <label htmlFor={id}>
        {input.name} {input.optional && <span className="quiet">(optional)</span>}
      </label>
      <input
        id={id}
        type={TYPES[input.type]}
        step={input.type === 'number' ? 'any' : undefined}
        value={value}
        required={!input.optional && input.type !== 'text'}
        autoComplete="off"
        onChange={({ target }) => onChange(target.value)}
      />
    </div>
  );
}

/** The hour of the day a suggested time has. */
const AFTERNOON = 14;

/** Tomorrow afternoon, as inputs of browsers have times: local, without a zone. */
export function tomorrow(): string {
  const date = new Date();
  date.setDate(date.getDate() + 1);
  const [year, month, day] = [date.getFullYear(), date.getMonth() + 1, date.getDate()].map((part) => `${part}`.padStart(2, '0'));
  return `${year}-${month}-${day}T${AFTERNOON}:00`;
}
