import type { ChannelDefinition, ChannelName, DataClass, Json, OnUnknown, Template, TemplatePartial } from '@carillon/contracts';

/** Whom a template is rendered for. What cannot be used as a locale or zone counts as absent. */
export interface Reader {
  /** BCP 47; `en` if absent, in the template's own words. */
  readonly locale?: string | undefined;
  /** IANA; `UTC` if absent. */
  readonly timeZone?: string | undefined;
  /** The notification's own link, for a channel's link where the template has none. It has no class: under the strict policy it stays in the inbox. */
  readonly url?: string | undefined;
}

/** What a template says on one channel. */
export interface Rendered {
  /** The fields of the channel's definition; one for which the template says nothing is absent. */
  readonly content: Record<string, string>;
  /** The definition's `options` that the template gives, as they are. */
  readonly options?: Record<string, string>;
  /** What the template wants done where the outcome is unknown. */
  readonly onUnknown?: OnUnknown;
}

/** A template in one version, ready to use. Its methods may be called apart from it. */
export interface CompiledTemplate {
  /** As it was registered. */
  readonly definition: Template;
  /** Content version: equal definitions, with equal partials, have equal versions. */
  readonly version: string;
  /**
   * Refuses data the template cannot be rendered with, on any channel and in any language, or not within a bounded time and length.
   *
   * @throws TEMPLATE_DATA_MISSING, TEMPLATE_DATA_INVALID (`field` is `data.<path>`)
   */
  check(data: Record<string, Json>): void;
  /**
   * Renders what a channel shows. Made for data that was checked. Fails rather than show a field where its class must not go: a version may have
   * been registered under another policy. What a channel says by itself, in whatever language of the reader's,
   * goes before title and body. What a language leaves out is said as in the next more general one, but HTML
   * is left out rather than shown beside a text in a language closer to the reader's: a variant with a `text` or `body` of its own has HTML only
   * if it has its own.
   *
   * @throws RENDER_FAILED, CONTENT_TOO_LARGE where the content has more bytes than the channel carries
   */
  render(definition: ChannelDefinition, data: Record<string, Json>, about?: Reader): Rendered;
  /** Who answers for what is found in what a channel is to show. Goes through all of the template and the data: not for every message. */
  voucher(definition: ChannelDefinition, data: Record<string, Json>, about?: Reader): Voucher;
}

/**
 * Tells who answers for a text that was found: `text` if the template's own words hold it (of any channel, in any language), else the class of
 * the declared field whose value holds it or, for this reader, shows it (the highest of several). Undefined if nobody does: no field, or none with a
 * class. Undefined also, whoever else holds it, if a field holds it, written in whatever way, whose class the channel may not carry: a free text may
 * repeat what is secret. A text of under 7 letters and digits is held only as words of their own. What is put together from words and values
 * is held by neither.
 *
 * @param found all writings of the one text: as it is read, and as it stands in HTML
 */
export type Voucher = (found: readonly string[]) => 'text' | DataClass | undefined;

/** A registered template. */
export interface TemplateEntry {
  readonly template: Template;
  readonly version: string;
}

/** One page of a list, in order of ids. */
export interface Page<T> {
  readonly data: T[];
  /** Where the next page begins; absent on the last one. */
  readonly nextCursor?: string;
}

/** What to say. Definitions live in Redis; every process keeps compiled ones in a bounded cache. Methods throw REDIS_UNAVAILABLE. */
export interface Templates {
  /**
   * Registers a definition, with the partials it uses as they are now. The same content is the same version and writes nothing.
   *
   * @throws TEMPLATE_INVALID, FIELD_INVALID. `field` is `fields.<name>` where a channel would show that field, in some language, and may not carry
   * its class
   */
  register(definition: unknown): Promise<{ id: string; version: string; changed: boolean }>;
  /** The current version. @throws TEMPLATE_NOT_FOUND */
  current(id: string): Promise<CompiledTemplate>;
  /** A given version, also after newer ones were registered or the template was deleted. @throws TEMPLATE_NOT_FOUND */
  version(id: string, version: string): Promise<CompiledTemplate>;
  /** @throws TEMPLATE_NOT_FOUND */
  get(id: string): Promise<TemplateEntry>;
  /** Registered templates. */
  list(request: { limit: number; cursor?: string }): Promise<Page<TemplateEntry>>;
  /** Takes a template out of use; what was queued with it still renders. @throws TEMPLATE_NOT_FOUND */
  remove(id: string): Promise<void>;
  /**
   * What a registered template, or a definition that is not registered, says on each of its channels. Stores nothing.
   *
   * @throws TEMPLATE_NOT_FOUND, TEMPLATE_INVALID, FIELD_INVALID, TEMPLATE_DATA_MISSING, TEMPLATE_DATA_INVALID, CONTENT_TOO_LARGE
   */
  preview(
    template: unknown,
    request: Reader & { data: Record<string, Json> },
  ): Promise<Partial<Record<ChannelName, Record<string, string>>>>;
  /**
   * Registers HTML for templates to share. Those that use it get a new version each, whose ids are told; what is queued keeps the old one.
   *
   * @throws FIELD_INVALID; TEMPLATE_INVALID also where a template that uses it could not be rendered any more
   */
  registerPartial(partial: unknown): Promise<{ id: string; changed: boolean; templates: string[] }>;
  /** @throws PARTIAL_NOT_FOUND */
  partial(id: string): Promise<TemplatePartial>;
  /** Registered partials. */
  listPartials(request: { limit: number; cursor?: string }): Promise<Page<TemplatePartial>>;
  /** Takes a partial out of use. Templates that use it keep what they have of it, and need it again when they are registered anew. @throws PARTIAL_NOT_FOUND */
  removePartial(id: string): Promise<void>;
  close(): Promise<void>;
}
