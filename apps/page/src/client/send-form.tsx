import { type FormEvent, useCallback, useEffect, useId, useState } from 'react';
import { ask, Refusal, toSentence } from './ask.js';
import { FieldInput, tomorrow } from './field-input.js';
import { type Input, inputsOf, toData } from './fields.js';
import { SAMPLE } from './sample.js';
import type { Channel, May, Page, Template } from './shapes.js';
import { channelNames } from './words.js';
import { WordsPreview } from './words-preview.js';

/** What the form starts with, so that the first click sends something: the names of the sample. */
const suggested = (): Record<string, string> => ({ therapist: 'Dr. Smith', startsAt: tomorrow() });

/** Chooses a template and sends by it. */
export function SendForm({ userId, onSent, may }: { userId: string; onSent: (id: string) => void; may: May }) {
  const { templates, trouble, reload } = useTemplates();
  const [chosen, setChosen] = useState<string>();
  const template = templates?.find(({ id }) => id === chosen) ?? templates?.[0];
  if (trouble !== undefined) return <p role="alert">{trouble}</p>;
  if (!templates) return <p role="status">Loading…</p>;
  if (!template) return <FirstTemplate onRegistered={reload} may={may} />;
  return (
    <>
      <TemplateChoice templates={templates} chosen={template.id} onChoose={setChosen} />
      <Message key={template.id} template={template} userId={userId} onSent={onSent} may={may} />
    </>
  );
}

function useTemplates() {
  const [templates, setTemplates] = useState<readonly Template[]>();
  const [trouble, setTrouble] = useState<string>();
  const reload = useCallback(() => {
    allTemplates().then(setTemplates, (error) => setTrouble(toSentence(error)));
  }, []);
  useEffect(reload, [reload]);
  return { templates, trouble, reload };
}

async function allTemplates(): Promise<readonly Template[]> {
  const all: Template[] = [];
  for (let cursor: string | null = ''; cursor !== null; ) {
    const page: Page<Template> = await ask('GET', `/v1/templates?limit=100${cursor && `&cursor=${encodeURIComponent(cursor)}`}`);
    all.push(...page.data);
    cursor = page.nextCursor;
  }
  return all;
}

function FirstTemplate({ onRegistered, may }: { onRegistered: () => void; may: May }) {
  const [trouble, setTrouble] = useState<string>();
  const register = () => {
    ask('PUT', `/v1/templates/${SAMPLE.id}`, SAMPLE).then(onRegistered, (error) => setTrouble(toSentence(error)));
  };
  return (
    <>
      <p>No template is registered here yet.</p>
      {may('admin') ? (
        <button type="button" onClick={register}>
          Register a sample
        </button>
      ) : (
        <p className="quiet">A key with the scope admin registers one.</p>
      )}
      {trouble !== undefined && <p role="alert">{trouble}</p>}
    </>
  );
}

function TemplateChoice({
  templates,
  chosen,
  onChoose,
}: {
  templates: readonly Template[];
  chosen: string;
  onChoose: (id: string) => void;
}) {
  const id = useId();
  return (
    <div className="field">
      <label htmlFor={id}>Template</label>
      <select id={id} value={chosen} onChange={({ target }) => onChoose(target.value)}>
        {templates.map(({ id: name }) => (
          <option key={name}>{name}</option>
        ))}
      </select>
    </div>
  );
}

interface MessageProps {
  template: Template;
  userId: string;
  onSent: (id: string) => void;
  may: May;
}

function Message({ template, userId, onSent, may }: MessageProps) {
  const [values, setValues] = useState(suggested);
  const [missed, setMissed] = useState<readonly string[]>([]);
  const [channels, setChannels] = useState<readonly Channel[]>(template.channels);
  const [to, setTo] = useState({ email: '', phone: '' });
  const [trouble, setTrouble] = useState<unknown>();
  const [sending, setSending] = useState(false);
  const inputs = inputsOf(template, missed);
  const send = async (event: FormEvent) => {
    event.preventDefault();
    setSending(true);
    setTrouble(undefined);
    try {
      const addresses = Object.fromEntries(Object.entries(to).filter(([, address]) => address !== ''));
      const body = { userId, templateId: template.id, data: toData(inputs, values), channels, to: addresses };
      onSent((await ask<{ id: string }>('POST', '/v1/notifications', body)).id);
    } catch (error) {
      setTrouble(error);
      const tag = error instanceof Refusal && error.code === 'TEMPLATE_DATA_MISSING' ? error.field?.replace(/^data\./, '') : undefined;
      if (tag !== undefined) setMissed((before) => [...before, tag]);
    } finally {
      setSending(false);
    }
  };
  return (
    <form onSubmit={send}>
      <Inputs inputs={inputs} values={values} onChange={(name, value) => setValues({ ...values, [name]: value })} />
      <Channels all={template.channels} chosen={channels} onChange={setChannels} />
      <Addresses channels={channels} to={to} onChange={setTo} />
      {trouble !== undefined && <p role="alert">{toSentence(trouble)}</p>}
      <p>
        <button type="submit" className="button-first" disabled={sending || channels.length === 0 || !may('send')}>
          Send
        </button>
      </p>
      {!may('send') && <p className="quiet">Sending needs a key with the scope send.</p>}
      <WordsPreview template={template} data={() => toData(inputs, values)} />
    </form>
  );
}

function Inputs({
  inputs,
  values,
  onChange,
}: {
  inputs: readonly Input[];
  values: Readonly<Record<string, string>>;
  onChange: (name: string, value: string) => void;
}) {
  if (inputs.length === 0) return null;
  return (
    <fieldset>
      <legend>Data</legend>
      {inputs.map((input) => (
        <FieldInput key={input.name} input={input} value={values[input.name] ?? ''} onChange={(value) => onChange(input.name, value)} />
      ))}
    </fieldset>
  );
}

function Channels({
  all,
  chosen,
  onChange,
}: {
  all: readonly Channel[];
  chosen: readonly Channel[];
  onChange: (chosen: readonly Channel[]) => void;
}) {
  return (
    <fieldset className="choices">
      <legend>Channels</legend>
      {all.map((channel) => (
        <label key={channel}>
          <input
            type="checkbox"
            checked={chosen.includes(channel)}
            onChange={({ target }) => onChange(all.filter((one) => (one === channel ? target.checked : chosen.includes(one))))}
          />
          {channelNames[channel]}
        </label>
      ))}
    </fieldset>
  );
}

type To = { email: string; phone: string };
const ADDRESSES = [
  { channel: 'email', name: 'email', label: 'Mail address', type: 'email' },
  { channel: 'sms', name: 'phone', label: 'Phone number', type: 'tel' },
] as const;

function Addresses({ channels, to, onChange }: { channels: readonly Channel[]; to: To; onChange: (to: To) => void }) {
  const id = useId();
  const asked = ADDRESSES.filter(({ channel }) => channels.includes(channel));
  return asked.map(({ name, label, type }) => (
    <div className="field" key={name}>
      <label htmlFor={`${id}${name}`}>
        {label} <span className="quiet">(the user’s own unless told)</span>
      </label>
      <input
        id={`${id}${name}`}
        type={type}
        value={to[name]}
        autoComplete="off"
        onChange={({ target }) => onChange({ ...to, [name]: target.value })}
      />
    </div>
  ));
}
