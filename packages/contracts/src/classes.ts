import { z } from 'zod';
import { type DataClass, highestOf } from './channels/definition.js';
import { CarillonError } from './errors.js';
import type { TemplateField } from './template.js';

/*
 * The fields of a template from the zod 4 schema of its data. The schema is made by the zod of whoever calls, which may be another copy than
 * ours: of it only `clone()` and what zod documents for library authors is used, `_zod.def` (https://zod.dev/library-authors).
 */

/** A zod 4 type, of `zod` or `zod/mini`. */
export interface ZodSchema {
  clone(): unknown;
  readonly _zod: { readonly def: { readonly type: string } };
}

/** What is read of the definitions of zod's types; each has some of it. */
interface Definition {
  readonly type: string;
  readonly format?: string;
  readonly local?: boolean;
  readonly checks?: readonly { readonly _zod: { readonly def: Definition } }[];
  readonly innerType?: ZodSchema;
  readonly in?: ZodSchema;
  readonly out?: ZodSchema;
  readonly transform?: unknown;
  readonly options?: readonly ZodSchema[];
}

/** What a type says of a field. Without a type it holds nothing: `undefined` or `null`. */
interface Told {
  readonly type?: TemplateField['type'];
  readonly class?: DataClass | undefined;
  readonly optional?: boolean;
}

const classes = z.registry<{ class: DataClass }>();

/**
 * Says that a field is protected health information: it is shown in the inbox and nowhere else.
 *
 * Answers a copy. Where a class was given before, the more sensitive one stands. Give it last where a method makes another type of the same
 * kind (`phi(z.enum(all).exclude(['other']))`): zod does not carry it over. What wraps a type (`optional`, `default`, `pipe`, `or`) may stand
 * inside or outside.
 *
 * @throws TEMPLATE_INVALID for an object: a class belongs to each of its fields
 */
export function phi<S extends ZodSchema>(schema: S): S {
  return classed(schema, 'phi');
}

/** Says that a field is personal data: it goes where the channel may carry it. Otherwise as `phi`. @throws TEMPLATE_INVALID for an object */
export function pii<S extends ZodSchema>(schema: S): S {
  return classed(schema, 'pii');
}

/** Says that a field is anyone's business: it may go anywhere. Otherwise as `phi`. @throws TEMPLATE_INVALID for an object */
export function publicly<S extends ZodSchema>(schema: S): S {
  return classed(schema, 'public');
}

function classed<S extends ZodSchema>(schema: S, dataClass: DataClass): S {
  if (definitionOf(schema)?.type === 'object') throw invalid('fields', 'a class belongs to each field, not to an object of them');
  const copy = schema.clone() as S;
  classes.add(asZod(copy), { class: highestOf([classOf(schema), dataClass]) as DataClass });
  return copy;
}

/**
 * The `fields` of a template from the schema of its data.
 *
 * ```ts
 * const data = z.object({
 *   patient: pii(z.string()),
 *   diagnosis: phi(z.string()).optional(),
 *   startsAt: phi(z.iso.datetime({ offset: true })),
 *   link: publicly(z.url()),
 * });
 * await service.registerTemplate({ id: 'visit', fields: fieldsOf(data), … });
 * ```
 *
 * Text, enums, literals, booleans and dates without a time (`z.iso.date()`) are `text`, `z.iso.datetime()` is `datetime`, numbers are `number`,
 * `z.url()` is `url`. What may be left out or null, or has a default, is optional. A field without a class has none in the template either.
 *
 * @throws TEMPLATE_INVALID whose `field` is `fields.<name>`: a transform (what it makes has no class), a `z.date()` or anything else that does
 * not travel as JSON text, number, true or false; leave it out with `.omit`
 */
export function fieldsOf<Name extends string>(
  object: ZodSchema & { readonly shape: Readonly<Record<Name, ZodSchema>> },
): Record<Name, TemplateField> {
  if (!object.shape) throw invalid('fields', 'must be read from a z.object');
  const fields = Object.entries<ZodSchema>(object.shape).map(([name, schema]): [string, TemplateField] => {
    const { type, class: dataClass, optional } = tell(`fields.${name}`, schema);
    if (!type) throw invalid(`fields.${name}`, 'must hold something');
    return [name, { type, ...(dataClass && { class: dataClass }), ...(optional && { optional }) }];
  });
  return Object.fromEntries(fields) as Record<Name, TemplateField>;
}

/** Reads a type and what it wraps: the registry knows what was classed, not what was later wrapped around it. */
function tell(field: string, schema: ZodSchema): Told {
  const definition = definitionOf(schema);
  if (!definition) throw invalid(field, 'must be a type of zod 4');
  const told = tellInside(field, definition);
  return { ...told, class: highestOf([classOf(schema), told.class]) };
}

function tellInside(field: string, definition: Definition): Told {
  const { type, innerType } = definition;
  switch (type) {
    case 'optional':
    case 'nullable':
    case 'default':
    case 'prefault':
    case 'catch':
      return { ...tell(field, innerType as ZodSchema), optional: true };
    case 'nonoptional':
      return { ...tell(field, innerType as ZodSchema), optional: false };
    case 'readonly':
      return tell(field, innerType as ZodSchema);
    case 'pipe':
      return tellPipe(field, definition);
    case 'union':
      return tellUnion((definition.options ?? []).map((option) => tell(field, option)));
    case 'null':
    case 'undefined':
      return { optional: true };
    default:
      return { type: typeOf(field, definition) };
  }
}

/** What comes out of a pipe is what the template is given. */
function tellPipe(field: string, { in: from, out: to, transform }: Definition): Told {
  if (transform !== undefined || [from, to].some((end) => definitionOf(end)?.type === 'transform'))
    throw invalid(field, 'must not be transformed: what a transform makes has no class and no type that could be read');
  const [before, after] = [tell(field, from as ZodSchema), tell(field, to as ZodSchema)];
  return { ...after, class: highestOf([before.class, after.class]) };
}

/** Either of several: text where they are not of one type. */
function tellUnion(options: readonly Told[]): Told {
  const types = new Set(options.flatMap(({ type }) => type ?? []));
  const [type = undefined] = types;
  return {
    ...(type && { type: types.size === 1 ? type : 'text' }),
    class: highestOf(options.map((option) => option.class)),
    optional: options.some(({ optional }) => optional),
  };
}

function typeOf(field: string, definition: Definition): TemplateField['type'] {
  switch (definition.type) {
    case 'number':
      return 'number';
    case 'string':
      return typeOfString(field, definition);
    case 'boolean':
    case 'enum':
    case 'literal':
    case 'template_literal':
      return 'text';
    case 'date':
      throw invalid(field, 'must not be a Date, which does not travel as JSON: use z.iso.datetime({ offset: true })');
    default:
      throw invalid(
        field,
        `must be text, a number, a time or an address: leave it out with .omit({ ${field.slice('fields.'.length)}: true })`,
      );
  }
}

function typeOfString(field: string, definition: Definition): TemplateField['type'] {
  // `z.url()` is a format of its own, `z.string().url()` a check of a string.
  for (const { format, local } of [definition, ...(definition.checks ?? []).map(({ _zod }) => _zod.def)]) {
    if (format === 'url') return 'url';
    if (format !== 'datetime') continue;
    if (local) throw invalid(field, 'must have an offset, or nobody knows which moment is meant: leave out { local: true }');
    return 'datetime';
  }
  return 'text';
}

function definitionOf(schema: ZodSchema | undefined): Definition | undefined {
  return schema?._zod?.def as Definition | undefined;
}

function classOf(schema: ZodSchema): DataClass | undefined {
  return classes.get(asZod(schema))?.class;
}

/** For the registry, which asks for the types of our own copy of zod. */
function asZod(schema: ZodSchema): z.core.$ZodType {
  return schema as unknown as z.core.$ZodType;
}

function invalid(field: string, message: string): CarillonError {
  return new CarillonError('TEMPLATE_INVALID', { field, message: `${field}: ${message}` });
}
