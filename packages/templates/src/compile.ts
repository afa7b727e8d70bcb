import { createHash } from 'node:crypto';
import {
  CarillonError,
  type ChannelDefinition,
  type ChannelName,
  type ContentField,
  channelDefinition,
  type Json,
  type OnUnknown,
  type Template,
} from '@carillon/contracts';
import { checkRendered, isLink, Walk } from './check.js';
import { createFields } from './fields.js';
import { createFirewall, type Firewall, type Leak, type PhiPolicy } from './firewall.js';
import { canonical, fallbacks } from './formats.js';
import type { Pinned } from './pin.js';
import { LINE_BREAKING, ownWords, parseSource, type Source } from './source.js';
import type { CompiledTemplate, Reader, Rendered } from './templates.js';
import { invalid } from './tokens.js';
import { createVoucher } from './vouching.js';
import { channelTexts, partOf, type Wording } from './wording.js';
import { type Meaning, write } from './writer.js';

/** A compiled template as this package keeps it. */
export interface Compiled extends CompiledTemplate {
  /** The partials it was registered with. */
  readonly pinned: Pinned | undefined;
  /** Characters of all its texts. */
  readonly size: number;
  /**
   * Refuses a template that would bring a field where its class must not go: on any of its channels, in any language.
   *
   * @throws TEMPLATE_INVALID, whose `field` is `fields.<name>`
   */
  refuseLeaks(): void;
}

/** The words of a template in one language: `title`, `body`, and those of channels by `<channel>.<field>`. */
type Words = ReadonlyMap<string, Source>;

/** What a channel is rendered from in one language. */
interface Plan {
  readonly fields: readonly { readonly name: string; readonly field: ContentField; readonly source: Source }[];
  /** Content fields that are followed, for the notification's own link; none where it must not go. */
  readonly links: readonly string[];
  /** What of it must not leave by the channel, if anything; then it is not rendered. */
  readonly leak: Leak | undefined;
  readonly options: Record<string, string> | undefined;
  readonly onUnknown: OnUnknown | undefined;
}

const ONE_LINE = { format: 'text', singleLine: true, isLink: false } as const;
const LINES = { format: 'text', singleLine: false, isLink: false } as const;

/**
 * Compiles a template with the partials it is pinned to.
 *
 * @throws TEMPLATE_INVALID, whose `field` is the path of the part: malformed mustache, a raw, delimiter or partial tag, a forbidden name,
 * nesting too deep, a tag that is no declared field, a value where HTML does not make it safe. Classes are not looked at here, since a version may
 * be older than the policy: see `refuseLeaks`, and `render`.
 */
export function compile(definition: Template, pinned?: Pinned, policy: PhiPolicy = 'standard'): Compiled {
  const standard = wordsOf(definition, '', pinned);
  const variants = new Map(
    Object.entries(definition.locales ?? {}).map(([tag, variant]) => [canonical(tag), wordsOf(variant, `locales.${tag}.`, pinned)]),
  );
  const sources = [standard, ...variants.values()].flatMap((words) => [...words.values()]);
  const fields = createFields(definition);
  for (const source of sources) fields?.admit(source);
  const meaningOf = (data: Record<string, Json>, about: Reader) => fields?.meaning(data, about);
  const firewall = createFirewall(definition, policy);
  const planOf = planner(definition, standard, variants, firewall);
  return {
    definition,
    pinned,
    version: versionOf(definition, pinned),
    size: sources.reduce((sum, { text }) => sum + text.length, 1),
    refuseLeaks: () => refuseLeaks(planOf, definition, [undefined, ...variants.keys()]),
    check(data) {
      fields?.check(data);
      const walk = new Walk(data);
      const lengths = sources.map((source) => (fields ? fields.measure(source, data) : walk.through(source)));
      const meaning = meaningOf(data, {});
      for (const [i, source] of sources.entries()) checkRendered(source, lengths[i] as number, data, meaning);
    },
    render(channel, data, about = {}) {
      try {
        return renderPlan(channel, planOf(channel, about.locale), data, meaningOf(data, about), about.url);
      } catch (cause) {
        throw cause instanceof CarillonError ? cause : new CarillonError('RENDER_FAILED', { cause });
      }
    },
    voucher(channel, data, about = {}) {
      const held = (fields?.forms(data, about) ?? []).map(({ name, forms }) => ({ class: firewall.classOf(name), forms }));
      return createVoucher(channel, sources.map(ownWords), held);
    },
  };
}

/** Every text of a wording, parsed. HTML is taken with its partials in place. */
function wordsOf(wording: Wording, at: string, pinned: Pinned | undefined): Words {
  const words = new Map<string, Source>();
  if (wording.title !== undefined) words.set('title', parseSource({ ...ONE_LINE, path: `${at}title` }, wording.title));
  if (wording.body !== undefined) words.set('body', parseSource({ ...LINES, path: `${at}body` }, wording.body));
  for (const { key, field, text } of channelTexts(wording)) {
    const path = `${at}${key}`;
    const isUrl = field.link === true;
    const source = parseSource({ ...field, path, isLink: isUrl }, pinned?.html[path] ?? text);
    if (isUrl && !source.hasTags && !isLink(source.text))
      throw invalid(path, 'must be an http(s) address or a path beginning with one slash');
    words.set(key, source);
  }
  return words;
}

/** Goes through every plan that can be made for a template's channels: one per language it has, and one for all others. @throws TEMPLATE_INVALID */
function refuseLeaks(planOf: ReturnType<typeof planner>, { channels }: Template, locales: readonly (string | undefined)[]): void {
  for (const channel of channels as ChannelName[])
    for (const locale of locales) {
      const { leak } = planOf(channelDefinition(channel), locale);
      if (leak) throw new CarillonError('TEMPLATE_INVALID', leak);
    }
}

/** Plans are made when first needed: few templates go to every channel in every language. */
function planner(template: Template, standard: Words, variants: ReadonlyMap<string | undefined, Words>, firewall: Firewall) {
  const plans = new WeakMap<ChannelDefinition, Map<string | undefined, Plan>>();
  return (channel: ChannelDefinition, locale: string | undefined): Plan => {
    const chain = variants.size === 0 || locale === undefined ? [] : fallbacks(locale).filter((tag) => variants.has(tag));
    const ofChannel = plans.get(channel) ?? new Map<string | undefined, Plan>();
    const known = ofChannel.get(chain[0]);
    if (known) return known;
    const plan = makePlan(template, channel, [...chain.map((tag) => variants.get(tag) as Words), standard], firewall);
    plans.set(channel, ofChannel.set(chain[0], plan));
    return plan;
  };
}

function makePlan(template: Template, definition: ChannelDefinition, words: Words[], firewall: Firewall): Plan {
  const { name: channel, content, options: names } = definition;
  const found = Object.entries(content).flatMap(([name, field]) => {
    // What is said on this channel goes before what is said in this language: a channel's own words may be there to keep the others off a lock screen.
    const own = words.findIndex((of) => of.has(`${channel}.${name}`));
    const distance = own >= 0 || field.base === undefined ? own : words.findIndex((of) => of.has(field.base as string));
    const source = words[distance]?.get(own >= 0 ? `${channel}.${name}` : (field.base as string));
    return source ? [{ name, field, source, distance }] : [];
  });
  const body = found.find(({ field }) => field.base === 'body');
  // A message in one language is right without HTML, and wrong with that of another.
  const fields = found.filter(({ field, distance }) => field.format !== 'html' || body === undefined || distance <= body.distance);
  const part = partOf(template, channel);
  const options = names.flatMap((name): [string, string][] => (part[name] === undefined ? [] : [[name, part[name]]]));
  return {
    fields,
    links: firewall.admitsUnclassed(definition) ? Object.entries(content).flatMap(([name, { link }]) => (link ? [name] : [])) : [],
    leak: firewall.leak(definition, fields),
    options: options.length > 0 ? Object.fromEntries(options) : undefined,
    onUnknown: part.onUnknown as OnUnknown | undefined,
  };
}

function renderPlan(
  { maxBytes }: ChannelDefinition,
  plan: Plan,
  data: Record<string, Json>,
  meaning: Meaning | undefined,
  url: string | undefined,
): Rendered {
  if (plan.leak) throw new CarillonError('RENDER_FAILED', plan.leak);
  const content: Record<string, string> = {};
  for (const { name, field, source } of plan.fields) {
    const text = write(source, field.format === 'html', data, meaning);
    if (field.singleLine && LINE_BREAKING.test(text))
      throw new CarillonError('RENDER_FAILED', { message: 'A line break reached a one-line field.' });
    if (source.isLink && !isLink(text)) throw new CarillonError('RENDER_FAILED', { message: 'An address to follow is none.' });
    if (text !== '' || !source.isLink) content[name] = text;
  }
  if (url !== undefined) for (const name of plan.links) content[name] ??= url;
  if (maxBytes !== undefined && Buffer.byteLength(JSON.stringify(content)) > maxBytes)
    throw new CarillonError('CONTENT_TOO_LARGE', { message: `The rendered message has more than ${maxBytes} bytes.` });
  const { options, onUnknown } = plan;
  return { content, ...(options && { options: { ...options } }), ...(onUnknown && { onUnknown }) };
}

/** Equal definitions have equal versions, in whatever order their fields were written. 16 hex characters of SHA-256. */
function versionOf(template: Template, pinned: Pinned | undefined): string {
  const entries = Object.entries(pinned ? { ...template, pinned } : template).sort(byKey);
  const canonicalForm = JSON.stringify(entries.map(([key, value]) => [key, ordered(value)]));
  return createHash('sha256').update(canonicalForm).digest('hex').slice(0, 16);
}

function ordered(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(byKey)
      .map(([key, inner]) => [key, ordered(inner)]),
  );
}

function byKey([a]: [string, unknown], [b]: [string, unknown]): number {
  return a < b ? -1 : 1;
}
