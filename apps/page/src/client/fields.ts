import type { Field, Template } from './shapes.js';

/** One input of the form. */
export interface Input {
  readonly name: string;
  readonly type: Field['type'];
  readonly optional: boolean;
}

/** What a template asks for: its fields, else the tags its texts use, and what the interface missed. */
export function inputsOf({ fields, ...template }: Template, missed: readonly string[] = []): Input[] {
  const declared = Object.entries(fields ?? {}).map(([name, { type, optional = false }]) => ({ name, type, optional }));
  const names = [...(fields ? [] : tagsOf(template)), ...missed].filter((name) => !declared.some((field) => field.name === name));
  return [...declared, ...[...new Set(names)].map((name) => ({ name, type: 'text' as const, optional: false }))];
}

/** The names that stand in mustache tags anywhere in a value; not those of partials and comments. */
function tagsOf(value: unknown): string[] {
  if (typeof value === 'string')
    return [...value.matchAll(/\{\{\{?\s*[#^/&]?\s*([\w-]+)[\w.-]*\s*\}?\}\}/g)].map(([, name]) => name as string);
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(tagsOf) : [];
}

/** The data of a request from what was typed. What is optional and empty is left out. */
export function toData(inputs: readonly Input[], values: Readonly<Record<string, string>>): Record<string, string | number> {
  const entries = inputs.flatMap(({ name, type, optional }): [string, string | number][] => {
    const text = values[name] ?? '';
    if (text === '' && (optional || type !== 'text')) return [];
    return [[name, toValue(type, text)]];
  });
  return Object.fromEntries(entries);
}

function toValue(type: Field['type'], text: string): string | number {
  if (type === 'number') return Number(text);
  // Inputs of browsers say local times, without a zone.
  return type === 'datetime' ? new Date(text).toISOString() : text;
}
