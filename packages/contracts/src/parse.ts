import type { z } from 'zod';
import { CarillonError, type ErrorCode } from './errors.js';

/**
 * Reads a value that enters the process.
 *
 * @throws CarillonError `code` (FIELD_INVALID unless told), whose `field` is the path of the first fault. The message says what the
 * field must be and never repeats the value, which may be somebody's data.
 */
export function parse<S extends z.ZodType>(schema: S, value: unknown, code: ErrorCode = 'FIELD_INVALID'): z.output<S> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  const path = [...(issue?.path ?? [])];
  if (issue?.code === 'unrecognized_keys' && issue.keys[0] !== undefined) path.push(issue.keys[0]);
  const field = path.map(String).join('.');
  const reason = issue?.code === 'unrecognized_keys' ? 'is not a known field' : (issue?.message ?? 'is invalid');
  throw new CarillonError(code, field ? { field, message: `${field}: ${reason}` } : { message: reason });
}
