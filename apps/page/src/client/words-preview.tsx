import { useState } from 'react';
import { ask, toSentence } from './ask.js';
import type { Channel, Template } from './shapes.js';
import { channelNames } from './words.js';

type Rendered = Readonly<Partial<Record<Channel, Readonly<Record<string, string>>>>>;

/** What a template says on each channel, as text; nothing is sent. */
export function WordsPreview({ template, data }: { template: Template; data: () => object }) {
  const [rendered, setRendered] = useState<Rendered>();
  const [trouble, setTrouble] = useState<string>();
  const look = () => {
    setTrouble(undefined);
    const timeZone = Intl.DateTimeFormat().resolvedOptions().timeZone;
    ask<Rendered>('POST', `/v1/templates/${template.id}/preview`, { data: data(), timeZone }).then(setRendered, (error) => {
      setRendered(undefined);
      setTrouble(toSentence(error));
    });
  };
  return (
    <>
      <button type="button" onClick={look}>
        Preview the words
      </button>
      {trouble !== undefined && <p role="alert">{trouble}</p>}
      {rendered && (
        <dl className="words">
          {(Object.keys(rendered) as Channel[]).map((channel) => (
            <div key={channel}>
              <dt>{channelNames[channel]}</dt>
              {Object.entries(rendered[channel] ?? {}).map(([part, text]) => part !== 'html' && <dd key={part}>{text}</dd>)}
            </div>
          ))}
        </dl>
      )}
    </>
  );
}
