import { CarillonError } from '@carillon/contracts';
import { createDetector, mask } from '@carillon/redaction';
import { type DestinationStream, pino, stdTimeFunctions } from 'pino';
import type { LogLevel } from './settings.js';

/**
 * What goes with a message: ids, codes, counts. `error` may be anything that was thrown. Numbers and booleans are written under any name, text
 * only under the names known here (else `[omitted]`), and an object shows as `[object]`, so that no payload reaches a log by mistake. What looks
 * like personal data in a text shows as its kind, `[email]`.
 */
export interface LogFields {
  readonly error?: unknown;
  readonly [name: string]: unknown;
}

/** A log: four levels, and a child that adds fields to every line. Messages are fixed sentences; what varies goes into fields. */
export interface Log {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  child(fields: LogFields): Log;
}

/** What is written about an error. */
interface LoggedError {
  name: string;
  code?: string;
  field?: string;
  stack?: string;
  cause?: LoggedError;
}

/** Causes followed: deeper ones repeat the outer ones in practice, and a loop must end. */
const CAUSES_MAX = 5;

/** Fields whose text is written: ids, names and codes of our own. */
const TEXT_FIELDS = new Set([
  'channel',
  'jobId',
  'kid',
  'method',
  'provider',
  'requestId',
  'risk',
  'route',
  'setting',
  'signal',
  'stage',
  'userId',
  'what',
  'writer',
]);
/** Characters of one text and of one stack that are written: what is longer is no id and no stack of ours. */
const TEXT_MAX = 1024;
const STACK_MAX = 8192;
/** The form of nearly all ids. It holds nothing, whatever its digits look like. */
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
/** A line of a stack as V8 writes it. */
const FRAME = /^ {4}at .{1,500}(?:\)|:\d+:\d+|native|<anonymous>)$/;

const detector = createDetector();

/** A log that says nothing. */
export const noLog: Log = { debug() {}, info() {}, warn() {}, error() {}, child: () => noLog };

/**
 * A log of JSON lines on standard output, or through `write`, which gets one line at a time.
 * Lines are written before the call returns: nothing is lost when the process ends.
 */
export function createLog(options: { level: LogLevel; name: string; write?: (line: string) => void }): Log {
  const settings = {
    level: options.level,
    base: { service: options.name, pid: process.pid },
    timestamp: stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
  };
  const destination: DestinationStream | undefined = options.write && { write: options.write };
  return wrap(destination ? pino(settings, destination) : pino(settings));
}

type PinoLog = ReturnType<typeof pino>;

function wrap(log: PinoLog): Log {
  const write = (level: Exclude<keyof Log, 'child'>) => (message: string, fields?: LogFields) => {
    if (!log.isLevelEnabled(level)) return;
    if (fields === undefined) log[level](clean(message, TEXT_MAX));
    else log[level](writable(fields), clean(message, TEXT_MAX));
  };
  return {
    debug: write('debug'),
    info: write('info'),
    warn: write('warn'),
    error: write('error'),
    child: (fields) => wrap(log.child(writable(fields))),
  };
}

function writable(fields: LogFields): Record<string, unknown> {
  const result: Record<string, unknown> = {};
  for (const name of Object.keys(fields)) {
    const value = fields[name];
    if (name === 'error') result.error = describe(value, CAUSES_MAX);
    else if (value !== undefined) result[name] = writableValue(name, value);
  }
  return result;
}

function writableValue(name: string, value: unknown): unknown {
  if (typeof value === 'number' || typeof value === 'boolean' || value === null) return value;
  if (typeof value === 'object') return '[object]';
  return typeof value === 'string' && TEXT_FIELDS.has(name) ? clean(value, TEXT_MAX) : '[omitted]';
}

/** A text without what looks like personal data. */
function clean(text: string, max: number): string {
  if (UUID.test(text)) return text;
  const kept = text.length > max ? `${text.slice(0, max)}…` : text;
  const findings = detector.detect(kept);
  return findings.length === 0 ? kept : mask(kept, findings);
}

/** An allow-list: errors of libraries carry commands, requests and bodies as further properties. */
function describe(thrown: unknown, causes: number): LoggedError {
  if (!(thrown instanceof Error)) return { name: typeof thrown };
  const { code, field } = thrown as { code?: unknown; field?: unknown };
  const stack = safeStack(thrown);
  return {
    name: nameOrOmitted(thrown.name),
    ...(typeof code === 'string' && { code: nameOrOmitted(code) }),
    ...(typeof field === 'string' && { field: clean(field, TEXT_MAX) }),
    ...(stack !== undefined && { stack: clean(stack, STACK_MAX) }),
    ...(thrown.cause !== undefined && causes > 0 && { cause: describe(thrown.cause, causes - 1) }),
  };
}

/** Names of errors and codes have the form of names; a library that puts anything else there shows nothing of it. */
function nameOrOmitted(name: unknown): string {
  return typeof name === 'string' && /^[A-Za-z][\w$.-]{0,63}$/.test(name) ? clean(name, TEXT_MAX) : '[omitted]';
}

/**
 * A stack begins with the error's message. Ours never hold content; those of others may quote what was being worked on (JSON.parse its text, a
 * driver its command), so of theirs only the frames are left.
 */
function safeStack(error: Error): string | undefined {
  const { stack, message } = error;
  if (typeof stack !== 'string' || error instanceof CarillonError) return stack;
  // A message may have lines that look like frames.
  const at = stack.indexOf(message);
  const frames = stack
    .slice(at < 0 ? 0 : at + message.length)
    .split('\n')
    .filter((line) => FRAME.test(line));
  return frames.length === 0 ? undefined : frames.join('\n').trimStart();
}
