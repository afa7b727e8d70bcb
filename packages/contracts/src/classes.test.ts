import { describe, expect, test } from '@jest/globals';
import { z } from 'zod';
import * as mini from 'zod/mini';
import { type DataClass, dataClasses, highestOf, mayCarry } from './channels/definition.js';
import { channelDefinition, channelNames } from './channels/index.js';
import { fieldsOf, phi, pii, publicly, type ZodSchema } from './classes.js';
import { templateSchema } from './template.js';

const fieldOf = (schema: ZodSchema) => fieldsOf(z.object({ a: schema as z.ZodType })).a;
const refusal = (field: string) => expect.objectContaining({ code: 'TEMPLATE_INVALID', field });
const text = { type: 'text' };
const phiText = { type: 'text', class: 'phi' };

test.each<[DataClass, DataClass[]]>([
  ['public', ['public']],
  ['pii', ['public', 'pii']],
  ['phi', ['public', 'pii', 'phi']],
])('what may carry %s may carry %j', (highestClass, carried) => {
  expect(dataClasses.filter((one) => mayCarry({ highestClass }, one))).toEqual(carried);
});

test('the most sensitive of several is told', () => {
  expect(highestOf(['pii', undefined, 'phi', 'public'])).toBe('phi');
  expect(highestOf(['public', 'pii'])).toBe('pii');
  expect(highestOf([undefined])).toBeUndefined();
});

test('who is given the whole data may carry any of it', () => {
  const given = channelNames.map(channelDefinition).filter(({ carriesData }) => carriesData);
  expect(given.map(({ highestClass }) => highestClass)).toEqual(given.map(() => 'phi'));
  expect(given).not.toHaveLength(0);
});

describe('a class', () => {
  const schema = phi(z.string());

  test.each<[string, ZodSchema]>([
    ['min', schema.min(3)],
    ['describe', schema.describe('d')],
    ['meta', schema.meta({ title: 't' })],
    ['refine', schema.refine(() => true)],
    ['trim', schema.trim()],
    ['brand', schema.brand('b')],
    ['readonly', schema.readonly()],
    ['pipe', schema.pipe(z.string().min(1))],
    ['pipe, at its end', z.string().pipe(schema)],
    ['or', schema.or(z.literal('x'))],
    ['or, at its end', z.string().or(schema)],
    ['nonoptional', schema.optional().nonoptional()],
    ['mini check', phi(mini.string()).check(mini.minLength(3))],
    ['being made less of', publicly(schema)],
    ['being made less of outside', publicly(pii(schema.readonly()))],
  ])('outlives %s', (_what, later) => {
    expect(fieldOf(later)).toEqual(phiText);
  });

  test.each<[string, ZodSchema]>([
    ['optional', schema.optional()],
    ['nullable', schema.nullable()],
    ['nullish', schema.nullish()],
    ['default', schema.default('x')],
    ['prefault', schema.prefault('x')],
    ['catch', schema.catch('x')],
    ['partial', z.object({ a: schema }).partial().shape.a],
    ['or undefined', schema.or(z.undefined())],
    ['all at once', schema.min(1).nullable().default('x').readonly().describe('d').optional()],
    ['mini optional', mini.optional(phi(mini.string()))],
    ['being given to what wraps it', phi(z.string().optional())],
  ])('outlives %s, and the field is optional', (_what, later) => {
    expect(fieldOf(later)).toEqual({ ...phiText, optional: true });
  });

  test('is of the copy alone', () => {
    const plain = z.string();
    expect([phi(plain), pii(plain), publicly(plain), plain].map((one) => fieldOf(one)?.class)).toEqual(['phi', 'pii', 'public', undefined]);
  });

  test('changes nothing of what the schema takes', () => {
    const checked = z.object({ a: phi(z.string().min(2)).optional(), b: pii(z.coerce.number()) });
    expect(checked.parse({ a: 'xy', b: '7' })).toEqual({ a: 'xy', b: 7 });
    expect(checked.safeParse({ a: 'x', b: 7 }).success).toBe(false);
  });

  test('is not for an object', () => {
    expect(() => phi(z.object({ a: z.string() }))).toThrow(refusal('fields'));
  });
});

describe('the type of a field', () => {
  test.each<[string, ZodSchema, object]>([
    ['text', z.string(), text],
    ['a mail address', z.email(), text],
    ['a date without a time', z.iso.date(), text],
    ['one of several words', z.enum(['a', 'b']), text],
    ['a literal', z.literal('a'), text],
    ['true or false', z.boolean(), text],
    ['a number', z.number().min(1), { type: 'number' }],
    ['a whole number', z.int(), { type: 'number' }],
    ['a number read from text', z.coerce.number(), { type: 'number' }],
    ['a time', z.iso.datetime({ offset: true }), { type: 'datetime' }],
    ['a time the old way', z.string().datetime(), { type: 'datetime' }],
    ['an address', z.url(), { type: 'url' }],
    ['an address the old way', z.string().min(1).url(), { type: 'url' }],
    ['one of two of a type', z.union([z.url(), z.httpUrl()]), { type: 'url' }],
    ['one of two types', z.union([pii(z.number()), z.string()]), { type: 'text', class: 'pii' }],
    ['required again', z.object({ a: z.string().optional() }).required().shape.a, text],
  ])('is told of %s', (_what, schema, expected) => {
    expect(fieldOf(schema)).toEqual(expected);
  });

  test.each<[string, ZodSchema]>([
    ['a transform', phi(z.string()).transform((value) => value.length)],
    ['a transform within', phi(z.string()).transform(String).optional()],
    ['a transform before', z.preprocess(String, phi(z.string()))],
    ['a transform of what has no class', z.string().transform(Number)],
    ['a codec', z.codec(phi(z.string()), z.number(), { decode: Number, encode: String })],
    ['a Date', z.date()],
    ['a time that may lack its offset', z.iso.datetime({ local: true, offset: true })],
    ['a list', phi(z.string()).array()],
    ['an object', z.object({ b: phi(z.string()) })],
    ['a list among others', z.union([z.string(), z.array(z.string())])],
    ['anything', z.any()],
    ['nothing', z.null()],
    ['a bigint', z.bigint()],
  ])('is not told of %s', (_what, schema) => {
    expect(() => fieldOf(schema)).toThrow(refusal('fields.a'));
  });

  test('is not told of what is no type of zod 4', () => {
    const old = { _def: { typeName: 'ZodString' } } as unknown as ZodSchema;
    expect(() => fieldsOf({ ...old, shape: { a: old } })).toThrow(refusal('fields.a'));
  });
});

test('fields are read from an object alone', () => {
  expect(() => fieldsOf(z.string() as never)).toThrow(refusal('fields'));
});

test('fields of a schema are fields of a template', () => {
  const data = z.strictObject({
    patient: pii(z.string().min(1)),
    diagnosis: phi(z.string()).nullish(),
    startsAt: phi(z.iso.datetime({ offset: true })),
    link: publicly(z.url()),
    count: z.number().default(0),
  });
  const fields = fieldsOf(data);
  expect(fields).toEqual({
    patient: { type: 'text', class: 'pii' },
    diagnosis: { type: 'text', class: 'phi', optional: true },
    startsAt: { type: 'datetime', class: 'phi' },
    link: { type: 'url', class: 'public' },
    count: { type: 'number', optional: true },
  });
  expect(templateSchema.parse({ id: 't', title: 'T', body: 'B', channels: ['in_app'], fields }).fields).toEqual(fields);
});
