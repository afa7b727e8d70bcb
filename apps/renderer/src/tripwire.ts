import type { Audit } from '@carillon/audit';
import { CarillonError, type ChannelDefinition, type RenderItem, toCarillonError } from '@carillon/contracts';
import {
  createDetector,
  type Entity,
  entities,
  type Finding,
  mask,
  type PiiAction,
  type PiiDetector,
  type PiiPolicy,
} from '@carillon/redaction';
import type { CompiledTemplate, Reader, Rendered, Voucher } from '@carillon/templates';
import { type Readable, readHtml } from './readable.js';

/** What a tripwire reports. */
export interface TripwireEvents {
  /** Personal data of a kind was found in one message so often, nobody vouched for it, and this was done about it. */
  piiDetected?(channel: string, entity: Entity, action: PiiAction, count: number): void;
  error?(error: CarillonError, about: { stage: string }): void;
}

export interface TripwireOptions {
  readonly policy: PiiPolicy;
  readonly audit: Pick<Audit, 'note'>;
  /** The built-in one if absent. */
  readonly detector?: PiiDetector | undefined;
  readonly events: TripwireEvents;
}

/** A message that is about to leave the house. */
export interface Message {
  readonly template: CompiledTemplate;
  readonly item: RenderItem;
  readonly definition: ChannelDefinition;
  readonly reader: Reader;
  readonly said: Rendered;
}

/**
 * Looks through what a message says before it leaves the house, and answers what may be said. The firewall of classes has decided on what is
 * declared; this is for what is not: a card's number in a field that was meant for a name. @throws PII_DETECTED
 */
export type Tripwire = (message: Message) => Promise<Rendered>;

/** Milliseconds a detector has for one text: a message waits for it. */
const PATIENCE_MS = 1000;
/** Different findings of one message that are looked for in template and data: each look goes through both. Nobody vouches for more. */
const VOUCHED_MAX = 200;
/** What may be anyone's business: an office has a mail address, a phone and a page. Nobody's card is public. */
const MAY_BE_PUBLIC: readonly Entity[] = ['email', 'phone', 'ip', 'url'];

export function createTripwire({ policy, audit, detector, events }: TripwireOptions): Tripwire {
  const builtIn = createDetector();
  const detect = detector ? (text: string) => ask(detector, builtIn, text, events) : builtIn.detect;

  return async (message) => {
    const { definition, item, said } = message;
    const vouched = createVoucher(message);
    const content = { ...said.content };
    const counts = new Map<Entity, number>();
    for (const [name, text] of Object.entries(said.content)) {
      const html = definition.content[name]?.format === 'html' ? readHtml(text) : undefined;
      const found = await detect(html?.text ?? text);
      const open = found.map((finding) => place(finding, html)).filter((finding, i) => !vouched(found[i] as Finding, finding, html, text));
      for (const { entity } of open) counts.set(entity, (counts.get(entity) ?? 0) + 1);
      const hidden = open.filter(({ entity }) => policy[entity] === 'mask');
      if (hidden.length === 0) continue;
      // A masked address leads nowhere.
      if (definition.content[name]?.link) delete content[name];
      else content[name] = mask(text, hidden);
    }
    if (counts.size === 0) return said;
    for (const [entity, count] of counts) {
      const about = { channel: definition.name, entity, action: policy[entity] };
      events.piiDetected?.(about.channel, entity, about.action, count);
      audit.note({ actor: { type: 'system', name: 'renderer' }, action: 'pii.detected', ids: [item.id], about });
    }
    if ([...counts.keys()].some((entity) => policy[entity] === 'block')) throw new CarillonError('PII_DETECTED');
    return { ...said, content };
  };
}

/** Where in the field itself something was found. */
function place({ entity, start, end }: Finding, html: Readable | undefined): Finding {
  return html ? { entity, start: html.at(start), end: html.at(end) } : { entity, start, end };
}

/**
 * Whether the template's author vouches for what was found: it is in the template's own words, or in a field that was declared to hold personal
 * data of a class that may go by this channel; and in none of a class that may not.
 */
function createVoucher({ template, definition, item, reader }: Message) {
  const known = new Map<string, ReturnType<Voucher>>();
  let voucher: Voucher | undefined;
  const vouching = (writings: readonly string[]) => {
    const key = writings.join('\0');
    if (!known.has(key) && known.size < VOUCHED_MAX) {
      voucher ??= template.voucher(definition, item.data, reader);
      known.set(key, voucher(writings));
    }
    return known.get(key);
  };
  return (seen: Finding, raw: Finding, html: Readable | undefined, text: string): boolean => {
    const written = text.slice(raw.start, raw.end);
    // Values are held as they were given, the template's own HTML as it was written.
    const by = vouching(html ? [html.text.slice(seen.start, seen.end), written] : [written]);
    return by === 'public' ? MAY_BE_PUBLIC.includes(seen.entity) : by !== undefined;
  };
}

/** Asks a detector that is not ours; where it fails, the built-in one answers. */
async function ask(detector: PiiDetector, builtIn: PiiDetector, text: string, events: TripwireEvents): Promise<readonly Finding[]> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new CarillonError('INTERNAL', { message: `The detector took over ${PATIENCE_MS} ms.` })), PATIENCE_MS);
  });
  try {
    const found = await Promise.race([detector.detect(text), late]);
    if (!isSound(found, text))
      throw new CarillonError('INTERNAL', { message: 'The detector’s findings are not in order, or of no known kind.' });
    return found;
  } catch (error) {
    events.error?.(toCarillonError(error), { stage: 'detector' });
    return builtIn.detect(text);
  } finally {
    clearTimeout(timer);
  }
}

function isSound(found: readonly Finding[], text: string): boolean {
  let at = 0;
  return found.every(({ entity, start, end }) => {
    const isNext = entities.includes(entity) && start >= at && end > start && end <= text.length;
    at = end;
    return isNext;
  });
}
