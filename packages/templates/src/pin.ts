import type { Template } from '@carillon/contracts';
import { invalid, parseTokens, partialTags } from './tokens.js';
import { channelTexts, partOf } from './wording.js';
import { MAX_RENDERED } from './writer.js';

/** Partials within partials. */
const MAX_DEPTH = 10;
/** Where a layout puts what it is around. */
const CONTENT = 'content';

/** What a version of a template keeps of the partials it was registered with. */
export interface Pinned {
  /** HTML with its partials and layout in place, by path. */
  readonly html: Readonly<Record<string, string>>;
  /** Ids of all partials in it, in order. */
  readonly partials: readonly string[];
}

/** Reads a partial's HTML; undefined if it is not registered. */
export type ReadPartial = (id: string) => Promise<string | undefined>;

/** Puts partials and layouts in their places; undefined where a template uses none. @throws TEMPLATE_INVALID */
export async function pin(template: Template, read: ReadPartial): Promise<Pinned | undefined> {
  const assembly = new Assembly(read);
  const html: Record<string, string> = {};
  const wordings = [
    ['', template] as const,
    ...Object.entries(template.locales ?? {}).map(([tag, it]) => [`locales.${tag}.`, it] as const),
  ];
  for (const [at, wording] of wordings) {
    for (const { key, channel, field, text } of channelTexts(wording)) {
      if (field.format !== 'html') continue;
      const { layout } = partOf(template, channel);
      const filled = await assembly.fill(`${at}${key}`, text, []);
      html[`${at}${key}`] = layout === undefined ? filled : await assembly.surround(`${channel}.layout`, layout, filled);
    }
  }
  return assembly.used.size === 0 ? undefined : { html, partials: [...assembly.used].sort() };
}

/** Whether a partial can be used: its own partials are there and do not lead back to it. @throws TEMPLATE_INVALID `html` */
export async function checkPartial(id: string, html: string, read: ReadPartial): Promise<void> {
  await new Assembly(read).fill('html', html, [id], '');
}

class Assembly {
  readonly used = new Set<string>();
  readonly #read: ReadPartial;
  readonly #filled = new Map<string, string>();

  constructor(read: ReadPartial) {
    this.#read = read;
  }

  /** HTML with its partials in place, and in a layout what it is around. `within` names the partials it stands in. */
  async fill(path: string, html: string, within: readonly string[], content?: string): Promise<string> {
    let filled = '';
    let from = 0;
    for (const [, name, start, end] of partialTags(parseTokens(path, html))) {
      if (name === CONTENT && content === undefined) throw invalid(path, `{{> ${CONTENT}}} has its place in a layout`);
      filled += html.slice(from, start) + (name === CONTENT ? content : await this.#partial(path, name, within));
      from = end;
      if (filled.length > MAX_RENDERED) throw tooLong(path);
    }
    filled += html.slice(from);
    if (filled.length > MAX_RENDERED) throw tooLong(path);
    return filled;
  }

  /** A layout around HTML. */
  async surround(path: string, layout: string, content: string): Promise<string> {
    const html = await this.#known(path, layout);
    const places = partialTags(parseTokens(path, html)).filter(([, name]) => name === CONTENT);
    if (places.length !== 1) throw invalid(path, `the partial "${layout}" must hold {{> ${CONTENT}}} once to be a layout`);
    return this.fill(path, html, [layout], content);
  }

  async #partial(path: string, id: string, within: readonly string[]): Promise<string> {
    if (within.includes(id)) throw invalid(path, `the partial "${id}" includes itself`);
    if (within.length === MAX_DEPTH) throw invalid(path, `partials may nest ${MAX_DEPTH} deep`);
    const known = this.#filled.get(id);
    if (known !== undefined) return known;
    const filled = await this.fill(path, await this.#known(path, id), [...within, id]);
    this.#filled.set(id, filled);
    return filled;
  }

  async #known(path: string, id: string): Promise<string> {
    this.used.add(id);
    const html = await this.#read(id);
    if (html === undefined) throw invalid(path, `the partial "${id}" is not registered`);
    return html;
  }
}

function tooLong(path: string) {
  return invalid(path, `is longer than ${MAX_RENDERED} characters with its partials`);
}
