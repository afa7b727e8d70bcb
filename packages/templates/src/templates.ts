import type { ContentField, Json, Template } from '@carillon/contracts';

/** A template in one version, ready to use. */
export interface CompiledTemplate {
  readonly definition: Template;
  /** Content version: equal definitions have equal versions. */
  readonly version: string;
  /**
   * Refuses data the template cannot be rendered with.
   *
   * @throws TEMPLATE_DATA_MISSING, TEMPLATE_DATA_INVALID (`field` is `data.<path>`)
   */
  check(data: Record<string, Json>): void;
  /** Renders the fields of a channel's definition. @throws RENDER_FAILED */
  render(content: Readonly<Record<string, ContentField>>, data: Record<string, Json>): Record<string, string>;
}

/** A registered template. */
export interface TemplateEntry {
  readonly template: Template;
  readonly version: string;
}

/** What to say. Definitions live in Redis; every process keeps compiled ones in a bounded cache. Methods throw REDIS_UNAVAILABLE. */
export interface Templates {
  /** Registers a definition. The same content is the same version and writes nothing. @throws TEMPLATE_INVALID, FIELD_INVALID */
  register(definition: unknown): Promise<{ id: string; version: string; changed: boolean }>;
  /** The current version. @throws TEMPLATE_NOT_FOUND */
  current(id: string): Promise<CompiledTemplate>;
  /** A given version, also after newer ones were registered or the template was deleted. @throws TEMPLATE_NOT_FOUND */
  version(id: string, version: string): Promise<CompiledTemplate>;
  /** @throws TEMPLATE_NOT_FOUND */
  get(id: string): Promise<TemplateEntry>;
  /** Registered templates in order of their ids. */
  list(request: { limit: number; cursor?: string }): Promise<{ data: TemplateEntry[]; nextCursor?: string }>;
  /** Takes a template out of use; what was queued with it still renders. @throws TEMPLATE_NOT_FOUND */
  remove(id: string): Promise<void>;
  close(): Promise<void>;
}
